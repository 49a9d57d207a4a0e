"""What every convolution of the library shares: geometry, choice of algorithm, the three kernels and their autograd.

A convolution relates a small image ``[batch, A, h, w]`` and a large one ``[batch, B, H, W]`` through a weight
``[A, B, kernel_h, kernel_w]``. Three kernels do all the work, and differentiation stays among them:

=====================  ======================  ==================================================
kernel                 maps                    its gradients are
=====================  ======================  ==================================================
``conv_transpose2d``   small, weight -> large  ``conv2d`` and ``weight_gradient``
``conv2d``             large, weight -> small  ``conv_transpose2d`` and ``weight_gradient``
``weight_gradient``    small, large -> weight  ``conv2d`` and ``conv_transpose2d``
=====================  ======================  ==================================================

So a backward of any order (WGAN-GP, R1) runs on the same three kernels.
"""
