"""How far participants agree: what `data_prep.reliability` computes and draws."""
