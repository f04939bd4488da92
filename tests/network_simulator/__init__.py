"""A link between two network namespaces with a fixed rate, delay and buffer, in user space."""
