"""The commands beside the Singer one."""
