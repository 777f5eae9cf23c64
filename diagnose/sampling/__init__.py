"""The sampler: a process of its own that reads /proc and the kernel's socket tables."""
