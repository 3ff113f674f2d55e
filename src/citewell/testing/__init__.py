"""What users need to test their own parts: contract suites for every Protocol, and fakes that behave."""
