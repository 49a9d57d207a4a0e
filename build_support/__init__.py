# The stable ABI of this version on: one build of the native libraries serves every later torch.
TORCH_TARGET_VERSION = "0x020A000000000000ULL"
