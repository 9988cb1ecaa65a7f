// Nothing of it is used; nccl.h asks for it.
#pragma once
