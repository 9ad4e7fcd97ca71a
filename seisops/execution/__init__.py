"""How the shots of an operator are run."""
