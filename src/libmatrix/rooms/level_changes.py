"""Whether new power levels are within the power of who sets them: the authorization rules' part."""

from __future__ import annotations

from typing import Any

from libmatrix.rooms.permissions import DEFAULTS, Permissions, read_level

_MAPS = ("events", "notifications")


def may_set_levels(rules: Permissions, user_id: str, content: Any) -> bool:
    """Whether the rules of a room let a user replace its power levels by this content."""
    if not isinstance(content, dict):
        return False
    users = content.get("users", {})
    if not isinstance(users, dict) or any(creator in users for creator in rules.creators):
        return False
    level = rules.level(user_id)
    if level is None or rules.said is None:
        return True
    return all(_single(rules, content, name, level) for name in DEFAULTS) and (
        all(_map(getattr(rules.said, name), content.get(name), level) for name in _MAPS)
        and _users(rules.users, users, user_id, level)
    )


def _single(rules: Permissions, content: dict[str, Any], name: str, level: int) -> bool:
    """Neither what was nor what will be is above the user."""
    old, new = getattr(rules.said, name), content.get(name)
    return old == new or not (_is_above(old, level) or _is_above(new, level))


def _map(old: Any, new: Any, level: int) -> bool:
    before = old if isinstance(old, dict) else {}
    after = new if isinstance(new, dict) else {}
    changed = [key for key in {**before, **after} if before.get(key) != after.get(key)]
    return not any(
        _is_above(before.get(key), level) or _is_above(after.get(key), level) for key in changed
    )


def _users(before: dict[str, int], after: dict[str, Any], user_id: str, level: int) -> bool:
    """Others are changed only from below one's own level, and nobody is raised above it."""
    for user in {**before, **after}:
        old, new = before.get(user), read_level(after.get(user))
        if old == new:
            continue
        if old is not None and (old > level or (old == level and user != user_id)):
            return False
        if new is not None and new > level:
            return False
    return True


def _is_above(value: Any, level: int) -> bool:
    found = read_level(value)
    return found is not None and found > level
