"""What a prompt names: the concept of the bank whose phrase it is, however it is asked for."""

import re
from functools import cache, lru_cache

from pose_rft.data.concepts.concept import Concept, load_concepts
from pose_rft.data.verbs import with_verb

WORD = re.compile(r"[a-z0-9]+(?:'[a-z]+)?")
SAYS_NOTHING = frozenset(
    re.findall(
        r"\S+",
        "a an the his her their your my its he she they it i you me we is are of in do doing does being who that there "
        "this pose posing position stance posture picture image photo photograph drawing sketch model reference 3d "
        "someone somebody person people man woman boy girl guy lady kid child human figure character show draw give "
        "make generate create imagine display render want need like see would could can please to for",
    )
)


@lru_cache(maxsize=65536)
def named_checks(prompt: str) -> tuple[str, ...]:
    """What has to hold of the pose that a prompt names and says nothing else of; empty where it names none."""
    found = _concepts().get(_essence(prompt))
    return () if found is None else found[0].checks_for(found[1])


def _essence(text: str) -> tuple[str, ...]:
    return tuple(word for word in WORD.findall(text.lower().replace("-", " ")) if word not in SAYS_NOTHING)


@cache
def _concepts() -> dict[tuple[str, ...], tuple[Concept, str] | None]:
    """Concepts and their phrases by what phrases say; None where two concepts are said alike."""
    known: dict[tuple[str, ...], tuple[Concept, str] | None] = {}
    for concept in load_concepts():
        for phrase in concept.phrases:
            forms = [phrase]
            if phrase in concept.doing:
                forms += [with_verb(phrase), with_verb(phrase, third=True)]
            for essence in {_essence(form) for form in forms} - {()}:
                other = known.setdefault(essence, (concept, phrase))
                if other is not None and other[0].id != concept.id:
                    known[essence] = None
    return known
