"""Figure 4: where networks look, drawn."""
