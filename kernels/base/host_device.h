// Functions with this mark are compiled for the host and for device code.
#pragma once

#ifdef __CUDACC__
#define SUBGEN_HOST_DEVICE __host__ __device__ __forceinline__
#else
#define SUBGEN_HOST_DEVICE inline
#endif
