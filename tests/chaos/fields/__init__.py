"""Changes every field of the three kinds and checks what the API server and the operator make of it."""
