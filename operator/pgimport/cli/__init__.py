"""The command line: `pgimport run` imports without a cluster; the other commands serve an installation of the chart."""
