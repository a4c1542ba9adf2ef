"""Who may be whom, in SQL: whom a no without a link may mean, and which persons may be one human being (facts.sql)."""

CONTESTED = """
    SELECT p.person_id FROM identity_doubt d JOIN patient p ON p.id = d.patient_id WHERE d.reason = 'key_clash'
    UNION SELECT f.person_id FROM identity_doubt d JOIN former_person f ON f.patient_id = d.patient_id
    WHERE d.reason = 'key_clash'
"""
"""Persons whose national key was ever found with somebody else: however that was settled, another key does not tell
them apart from anybody."""

PUT_IN_DOUBT = """
    SELECT i.entry_id, p.person_id FROM identity_doubt d JOIN register_import i ON i.id = d.import_batch_id
    JOIN patient p ON p.id = d.patient_id
    UNION SELECT i.entry_id, f.person_id FROM identity_doubt d JOIN register_import i ON i.id = d.import_batch_id
    JOIN former_person f ON f.patient_id = d.patient_id
"""
"""By the entry of the register that put them in doubt (entry_id, person_id): also rows of other practices."""

_OF_ONE_ROW = """
    FROM identity_doubt d JOIN former_person f ON f.patient_id = d.patient_id JOIN patient p ON p.id = d.patient_id
    WHERE d.settled_at IS NULL AND f.person_id <> p.person_id
"""

_CLASHES = """
    SELECT p.person_id FROM identity_doubt d JOIN patient p ON p.id = d.patient_id
    WHERE d.reason = 'key_clash' AND d.settled_at IS NULL
    UNION SELECT f.person_id FROM identity_doubt d JOIN former_person f ON f.patient_id = d.patient_id
    WHERE d.reason = 'key_clash' AND d.settled_at IS NULL
"""

_OF_ONE_KEY = f"""
    FROM (SELECT k.kind, k.token, MIN(t.id) AS hub_id
          FROM (SELECT DISTINCT t.kind, t.token FROM ({_CLASHES}) u
                JOIN person_token t ON t.person_id = u.person_id AND t.kind LIKE 'key:%') k
          JOIN person_token t ON t.kind = k.kind AND t.token = k.token GROUP BY k.kind, k.token) key
    JOIN person_token hub ON hub.id = key.hub_id
    JOIN person_token bearer
      ON bearer.kind = key.kind AND bearer.token = key.token AND bearer.person_id <> hub.person_id
"""
"""One bearer with each other, not each with each: hundreds may bear a key that stands for none."""

MAY_BE_ONE = f"""
    SELECT p.person_id, f.person_id AS other_id {_OF_ONE_ROW}
    UNION SELECT f.person_id, p.person_id {_OF_ONE_ROW}
    UNION SELECT hub.person_id, bearer.person_id {_OF_ONE_KEY}
    UNION SELECT bearer.person_id, hub.person_id {_OF_ONE_KEY}
"""
"""Links between persons (person_id, other_id, in both orders) who may be one human being while a doubt is open: whom a
row stands for and whom it stood for, and the bearers of a national key that was found twice. Whoever is reached by
several links may be the same too."""


def dated(person: str) -> str:
    """Whether somebody who is known by a year of birth is known by a full date for each: by no row that has the year
    alone, and by as many dates as years. Else the date of another row (a wrong merge, a mistyped birth) says nothing of
    that year. `person`: an expression for her id."""
    return (
        "((SELECT SUM(CASE d.kind WHEN 'name_date' THEN 1 WHEN 'name_year' THEN -1 ELSE 0 END) FROM person_token d "
        f"WHERE d.person_id = {person}) >= 0 "
        f"AND NOT EXISTS (SELECT 1 FROM patient y WHERE y.person_id = {person} "
        "AND LENGTH(y.birth_date) BETWEEN 1 AND 9))"
    )


MEANT = f"""
    SELECT theirs.provisional_id, mine.person_id
    FROM provisional_token theirs
    JOIN person_token mine ON mine.kind = theirs.kind AND mine.token = theirs.token
    WHERE NOT EXISTS (SELECT 1 FROM provisional_cleared x
                      WHERE x.provisional_id = theirs.provisional_id AND x.person_id = mine.person_id)
      AND NOT (mine.kind NOT LIKE 'key:%'
               AND EXISTS (SELECT 1 FROM person_token k JOIN provisional_token l ON l.kind = k.kind
                           WHERE k.person_id = mine.person_id AND l.provisional_id = theirs.provisional_id
                             AND k.kind LIKE 'key:%')
               AND mine.person_id NOT IN ({CONTESTED}))
      AND NOT (mine.kind = 'name_year' AND {dated("mine.person_id")}
               AND EXISTS (SELECT 1 FROM provisional_token d
                           WHERE d.provisional_id = theirs.provisional_id AND d.kind = 'name_date'))
"""
"""Whom a provisional objection may mean (provisional_id, person_id), by the rule of possible matches in facts.sql:
the same key, or the same name and birth while one side lacks a key of that type. Who was cleared is not among them."""

MEANT_AGAIN = """
    DELETE FROM provisional_cleared WHERE person_id = $1
    AND EXISTS (SELECT 1 FROM provisional_token t WHERE t.provisional_id = provisional_cleared.provisional_id
                AND t.kind = $2 AND t.token = $3)
"""
"""Who was cleared of a no ($1) and has become known by something that was said in it ($2, $3) is meant again."""

FORGET_CLEARED = f"""
    {MEANT_AGAIN}
    AND NOT EXISTS (SELECT 1 FROM person_token k WHERE k.person_id = $1 AND k.kind = $2 AND k.token = $3)
"""
"""The same before it is written down, unless she was known by it already."""

FORGET_CLEARED_OF_OTHER = """
    DELETE FROM provisional_cleared WHERE person_id = $1
    AND EXISTS (SELECT 1 FROM provisional_token n JOIN person_token t ON t.kind = n.kind AND t.token = n.token
                WHERE n.provisional_id = provisional_cleared.provisional_id AND t.person_id = $2)
    AND NOT EXISTS (SELECT 1 FROM provisional_cleared x
                    WHERE x.provisional_id = provisional_cleared.provisional_id AND x.person_id = $2)
"""
"""So is who was cleared of it ($1) and turns out to be somebody whom it may mean, and who was not ($2)."""

KNOWN_BY_WHAT_WAS_SAID = """
    INSERT INTO person_token (person_id, kind, token)
    SELECT $1, t.kind, t.token FROM provisional_token t WHERE t.provisional_id = $2
    AND CASE WHEN t.kind LIKE 'key:%'
             THEN NOT EXISTS (SELECT 1 FROM person_token k WHERE k.kind = t.kind AND k.token = t.token)
             ELSE (SELECT COUNT(*) FROM provisional_token n WHERE n.provisional_id = $2 AND n.kind = 'name_year') <= 12
        END
    ON CONFLICT (person_id, kind, token) DO NOTHING RETURNING kind, token
"""
"""A person ($1) is met by what was said in a no ($2): by its key unless somebody bears it, and by its names and birth
unless no birth was said, when every year was meant. Returns what she was not met by before (kind, token)."""
