"""The commits of Isaac-GR00T from the release of N1.5 to the last before N1.6, and their mends.

For clones whose history does not say, and for a hash without a clone. Of each commit, from
``git merge-base --is-ancestor`` in the whole history: whether it has the mends of the dropped
future tokens, of the broken resume, and of ``torchvision_av``.
"""

_GROUPS = {
    (False, False, False): (
        "5e3ef5ef9a89 209d70a90cf4 796ca8d87360 17a77ebf646c 7762576bbc0c aa6441feb4f0"
    ),
    (True, False, False): (
        "46b558542cbb 229aba376ca4 6f1209eb529d d5984002e24d f4e12be5458f "
        "a2ec903a8070 4ea96a16b15c b07d50e62151 b70e8dd9d977"
    ),
    (True, True, False): (
        "ae7d46f02cdc fa4f174f7ff2 ba3f9eaf5570 10de3f983eee 4ed4d45d8337 "
        "1df8273d95db 3bce5530b3af 2cc694e94aa1 542df54fa649 db107f03d165 "
        "76a042dc9b49 6b44c006608f fbc1e52508ef 6165d42446c0 7f53666c8144 "
        "029b2dfbe40d b211007ed669 6a477aa39f2f a8d90be2db87 b5f951f19fca "
        "d69b446ef337"
    ),
    (True, True, True): (
        "cdf6d6e3c48a c8647d1bfe87 267e2dc6c2b0 063773282a98 2196232d254b "
        "c8a91eafdceb 1259d624f040 a86e9159a7e6 e845e755d333 4af2b622892f"
    ),
}

MENDS_BY_COMMIT: dict[str, tuple[bool, bool, bool]] = {
    commit: mends for mends, commits in _GROUPS.items() for commit in commits.split()
}
"""By the first 12 digits of the hash."""
