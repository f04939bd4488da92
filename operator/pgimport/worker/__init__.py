"""Door C, inside the pod of an import's Job: an order and two files come in, a copied database and a result go out."""
