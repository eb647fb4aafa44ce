"""`tollhouse/sim`, a simulated model that honours the whole request; `model.Sim` is its connector."""
