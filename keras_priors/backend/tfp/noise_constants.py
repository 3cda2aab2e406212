"""Constants of the noise that the TensorFlow and JAX backends draw with ordinary array operations.

Word i of a draw is the first output word of Threefry-2x32 with 13 rounds, the fewest that pass
BigCrush (the paper has 20 as its default, for a margin). Its key is the seed (both words of it)
and its counter is (i, stream). So two seeds never share a stretch of one stream, however close
they are: a seed is a key of the cipher, never an offset of its counter. The two streams keep the
signs of a seed apart from its normals.

A word w turns into one normal: its top bit is the sign, its low 31 bits m give the two-sided tail
probability q = (m + 1/2) / 2^31, and with L = -log q the normal is z = +-L P(L) / Q(L), a rational
approximation of the inverse survival function. Its relative error is below 3e-6 for every m,
which a Kolmogorov-Smirnov test could see after some 1e11 draws. The body of the distribution has
the resolution of float32 (2^-24 in q) and the tails that of 31 bits; the largest |z| is 6.338, at
m = 0. The logarithm is one that vectorises: XLA's own costs the CPU half as much again.

References:
    Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011, sec. 3.2.
"""

ROUNDS = 13
ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
KEY_PARITY = 0x1BD11BDA

NORMAL_STREAM = 0
SIGN_STREAM = 1

LOW_31_BITS = 0x7FFFFFFF
TOP_BIT = 0x80000000
ONE_AS_BITS = 0x3F800000  # of float32

# z = L P(L) / Q(L) for 0 <= L <= 32 log 2, minimax in the relative error; highest power first.
TAIL_NUMERATOR = (1.21667337e-4, 0.0247907524, 0.451234601, 1.61675755, 1.25331127)
TAIL_DENOMINATOR = (1.87034287e-3, 0.0967726694, 0.827639906, 1.78985761, 1.0)

# log(1 + t) = t R(t) for 2/3 <= 1 + t < 4/3, minimax in the relative error; highest power first.
LOG_SERIES = (
    -0.15365678071975708,
    0.1711118221282959,
    -0.16420090198516846,
    0.19795037806034088,
    -0.25007620453834534,
    0.3333798944950104,
    -0.49999937415122986,
    0.9999998211860657,
)
TWO_THIRDS_AS_BITS = 0x3F2AAAAB  # of float32: numbers are split as 2^k (1 + t) around it
EXPONENT_MASK = -0x800000  # sign and exponent of a float32 seen as int32
LOG_2 = 0.6931471805599453
EXPONENT_UNIT = 2.0**-23  # one step of the exponent, seen as int32, is 2^23

MAX_WORDS = 2**31 - 1  # the counter is one 32-bit word, and TensorFlow counts in int32
