"""What exports call people: names that lead nowhere without the study's salt."""

import hashlib


def pseudonym(salt: str, participant_id: str) -> str:
    """16 hexadecimal digits; the same person has others in another study."""
    return hashlib.sha256(f"{salt}:{participant_id}".encode()).hexdigest()[:16]
