"""ClickMe's raw clicks in every published form."""
