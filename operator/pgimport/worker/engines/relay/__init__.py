"""The relay: streams rows with COPY from the source into the shadow, and builds indexes at the same time."""
