"""Tables and figures of Knockoff Nets (Orekondy, Schiele, Fritz, CVPR 2019)."""
