"""Room 4, documents: the models of `model/` go in; CRDs and tables of their fields come out."""
