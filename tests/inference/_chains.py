"""What samplers say of chains that a test keeps short."""

import pytest

SHORT_CHAINS = pytest.mark.filterwarnings(
    r"ignore:R-hat of what SG(LD|HMC) predicts",
    r"ignore:The effective sample size of what SG(LD|HMC) predicts",
    r"ignore:Draws of SG(LD|HMC) must explain",
    r"ignore:\d draws of SG(LD|HMC) a chain are too few",
)
