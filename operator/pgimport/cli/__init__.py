"""Door D, the command line: `pgimport run` without a cluster, and what the chart's hooks call."""
