// Functions that device code takes as they are.
#pragma once

#ifdef __CUDACC__
#define SUBGEN_HOST_DEVICE __host__ __device__ __forceinline__
#else
#define SUBGEN_HOST_DEVICE inline
#endif
