"""CapsNet computed by the fast paths: the same parameters, values and gradients, to rounding."""

from jaxtyping import Float
from torch import Tensor

from capsnet.kernels.convolutions import stacked_convolutions
from capsnet.kernels.routing import dynamic_routing
from capsnet.networks import CapsNet


class FastCapsNet(CapsNet):
    """A CapsNet whose convolutions and routing are those of `kernels`, on a CPU."""

    def forward(
        self, images: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch classes dim"]:
        """As `CapsNet.forward`; on other devices it is that."""
        if images.device.type != "cpu":
            return super().forward(images)
        bias, kernel = self.conv1.bias, self.primary.conv.weight
        assert bias is not None
        x = stacked_convolutions(images, self.conv1.weight, bias, kernel)
        u = self.primary.capsules(x)
        return dynamic_routing(u, self.digits.weight, self.digits.iterations, self.digits.bias)
