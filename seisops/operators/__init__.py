r"""The operators: modelling A(m)⁻¹, the samplers Pr, Ps, Pw, and what products of them become.

With wavefields u of axes (shot, time, x, z):

=============== =============================================== ==============================
operator        product                                         adjoint
=============== =============================================== ==============================
Projection      d = Wᵀ R u, records at points                   W, Rᵀ: injects at points
LRWF            w = Σₙ q[n] u[n], correlates with a wavelet     w(x) q(t), an extended source
Modeling        u = A(m)⁻¹ s, the wave equation                 the wave equation backwards
Scattering      dm = -Padᵀ Σₙ g[n] u[n], the image              -dm ∘ g, the Born source
VirtualSource   -dm ∘ ∂²u/∂t²                                   itself
Propagation     left A right.H in one march                     right A.H left.H
=============== =============================================== ==============================
"""
