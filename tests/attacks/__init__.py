"""One tenant attacks for ten minutes while another one works."""
