"""What people look at.

panels.py  panels, colours, fonts and scales that pictures of maps are put together from
"""
