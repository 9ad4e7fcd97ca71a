"""All that touches Devito: equations, kernels, and the march of one shot."""
