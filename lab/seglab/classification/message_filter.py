"""Which of the classified messages a user wants to see."""

from dataclasses import dataclass

from seglab.classification.scored import ClassifiedMessage


@dataclass(frozen=True, slots=True)
class MessageFilter:
    """Conditions on a message; an empty one lets every message pass.

    Attributes:
        styles: one of these has to be among the verdict's styles.
        abstained: messages without a style pass as well, or alone if ``styles`` is empty.
        terminators: the verdict's has to be one of these.
        paths: the verdict's path condition has to be one of these.
        clients: the client's address and port have to contain one of these texts.
        min_confidence: the least confidence of the style; one that is not given counts as 0.
    """

    styles: tuple[str, ...] = ()
    abstained: bool = False
    terminators: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    clients: tuple[str, ...] = ()
    min_confidence: float = 0.0

    def accepts(self, one: ClassifiedMessage) -> bool:
        """Return whether a message meets all conditions."""
        verdict = one.verdict
        if self.styles or self.abstained:
            among = bool({*self.styles} & {*verdict.styles})
            if not among and not (self.abstained and not verdict.styles):
                return False
        client = one.observation.client or ""
        return (
            (verdict.confidence or 0.0) >= self.min_confidence
            and (not self.terminators or verdict.terminator in self.terminators)
            and (not self.paths or verdict.path_condition in self.paths)
            and (not self.clients or any(part in client for part in self.clients))
        )
