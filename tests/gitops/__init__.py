"""Tests of what GitOps tools see: their own libraries judge objects as the operator writes them."""
