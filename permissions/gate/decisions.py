"""What was decided, and why."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a decision."""

    #: What was asked: ``before``, ``superuser``, ``forbidden``, ``super admin role``, ``held``, ``policy``, ``object``…
    rule: str
    #: What it answered; None where it left the question open.
    answer: bool | None
    #: Why, in words.
    reason: str


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a user may, and each step that led there."""

    user: str
    ability: str
    #: The object, as text; empty where none was asked about.
    obj: str
    guard: str
    #: Key of the team in which it was decided; None outside of teams.
    team: str | None
    is_allowed: bool
    steps: tuple[Step, ...]

    def __bool__(self) -> bool:
        return self.is_allowed

    def __str__(self) -> str:
        about = f" with {self.obj}" if self.obj else ""
        where = f" in team {self.team}" if self.team else ""
        verdict = "may" if self.is_allowed else "may not"
        marks = {True: "yes", False: "no", None: "-"}
        lines = [f"{self.user} {verdict} `{self.ability}`{about} (guard {self.guard}{where})"]
        width = max((len(step.rule) for step in self.steps), default=0)
        lines += [f"  {marks[step.answer]:>3}  {step.rule:<{width}}  {step.reason}" for step in self.steps]
        return "\n".join(lines)

    def as_dict(self) -> dict[str, object]:
        """Return it as JSON knows it."""
        return {
            "user": self.user,
            "ability": self.ability,
            "object": self.obj or None,
            "guard": self.guard,
            "team": self.team,
            "is_allowed": self.is_allowed,
            "steps": [{"rule": step.rule, "answer": step.answer, "reason": step.reason} for step in self.steps],
        }
