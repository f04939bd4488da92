"""The relay: rows as COPY text from the source into the shadow, without a disk in between, and indexes beside them."""
