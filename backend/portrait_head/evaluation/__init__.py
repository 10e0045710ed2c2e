"""How good the heads are: likeness in shape and in texture, measured against what is independent of the fit."""
