"""What people look at: panels, overlays, grids of attention."""
