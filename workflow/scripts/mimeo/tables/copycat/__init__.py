"""Tables and figures of Copycat CNN (Correia-Silva et al., Pattern Recognition 113, 2021)."""
