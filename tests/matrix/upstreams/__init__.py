"""One asserting upstream for each dialect: refuses what its vendor would refuse, answers in its vendor's shapes."""
