"""The only files that know the order of the stages: each flow is a workflow of typed events."""
