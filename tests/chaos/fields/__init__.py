"""Changes every field of the four kinds and checks what the API server and the operator make of it."""
