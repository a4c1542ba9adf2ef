-- The person facts of one crossing, for every patient of the observatory's practices, decided in the same pass.
-- Each CASE ends in the word that closes. Words are the places in rules/facts.py; the key is its mixed radix.
--   $1 observatory  $2 study ('' at extraction)  $3 registers taken at or after  $4 today in Paris
--   $5 sent before: reflection over  $6 sent at or before: silence is delivery by now
-- {texts}: WHEN text THEN word, worked out in Python.  {agreements}: versions that still count.
-- {among}: a narrowing.  In records/objections.py: whom an objection binds, and whom one without a token may mean.
WITH enrolled AS (
    SELECT practice_id,
           MIN(CASE WHEN state = 'active' AND agreement_id IN ({agreements}) THEN 0
                    WHEN state = 'active' THEN 3
                    WHEN state = 'signed' THEN 2
                    WHEN state = 'identified' THEN 3
                    ELSE 4 END) AS word
    FROM enrolment
    WHERE observatory_id = $1
    GROUP BY practice_id
),
register AS (
    SELECT practice_id, MAX(taken_at) AS taken_at FROM register_import WHERE NOT partial GROUP BY practice_id
),
bound AS ({bound}),
in_force AS (
    SELECT b.person_id, o.scope, o.scope_ref FROM objection o JOIN bound b ON b.objection_id = o.id
    WHERE o.withdrawn_at IS NULL
      AND NOT (o.scope = 'observatory' AND o.scope_ref <> $1)
      AND NOT (o.scope = 'study' AND o.scope_ref <> $2)
),
objected AS (
    SELECT person_id,
           MIN(CASE scope WHEN 'observatory' THEN 2 WHEN 'study' THEN 3 ELSE 1 END) AS word
    FROM in_force WHERE scope <> 'practice' GROUP BY person_id
),
source_objected AS (
    SELECT DISTINCT person_id, scope_ref AS practice_id FROM in_force WHERE scope = 'practice'
),
taken_back AS (
    SELECT b.person_id, MAX(o.withdrawn_at) AS at FROM objection o JOIN bound b ON b.objection_id = o.id
    WHERE o.withdrawn_at IS NOT NULL
      AND NOT (o.scope = 'observatory' AND o.scope_ref <> $1)
      AND NOT (o.scope = 'study' AND o.scope_ref <> $2)
    GROUP BY b.person_id
),
-- Without a token: everybody who may be meant, but for those whom the DPO has looked at.
maybe_said AS (
    SELECT DISTINCT m.person_id FROM provisional_objection o
    JOIN ({meant}) m ON m.provisional_id = o.id
    WHERE (o.outcome IS NULL OR o.outcome = 'not_here')
      AND NOT (o.scope = 'observatory' AND o.scope_ref <> $1)
      AND NOT (o.scope = 'study' AND o.scope_ref <> $2)
),
contested AS ({contested}),
doubted AS (
    SELECT person_id FROM maybe_said
    UNION SELECT mine.person_id
    FROM (SELECT DISTINCT person_id FROM in_force) objector
    JOIN person_token theirs ON theirs.person_id = objector.person_id
    JOIN person_token mine
      ON mine.kind = theirs.kind AND mine.token = theirs.token AND mine.person_id <> theirs.person_id
    WHERE NOT (mine.kind NOT LIKE 'key:%'
               AND EXISTS (SELECT 1 FROM person_token k JOIN person_token l ON l.kind = k.kind
                           WHERE k.person_id = mine.person_id AND l.person_id = theirs.person_id
                             AND k.kind LIKE 'key:%')
               AND mine.person_id NOT IN (SELECT person_id FROM contested)
               AND theirs.person_id NOT IN (SELECT person_id FROM contested))
      AND NOT (mine.kind = 'name_year'
               AND EXISTS (SELECT 1 FROM person_token d WHERE d.person_id = mine.person_id AND d.kind = 'name_date')
               AND EXISTS (SELECT 1 FROM person_token d WHERE d.person_id = theirs.person_id AND d.kind = 'name_date'))
),
asked AS (
    SELECT id, person_id, patient_id FROM rights_request
    WHERE state = 'open' OR (state = 'granted' AND kind IN ('erasure', 'restriction'))
),
pending AS (
    SELECT person_id FROM asked
    UNION SELECT p.person_id FROM asked a JOIN patient p ON p.id = a.patient_id
    UNION SELECT f.person_id FROM asked a JOIN former_person f ON f.patient_id = a.patient_id
),
died AS (
    SELECT person_id FROM patient WHERE deceased_on IS NOT NULL
    UNION SELECT person_id FROM former_person WHERE deceased_on IS NOT NULL
),
unresolved AS (
    SELECT DISTINCT p.person_id FROM identity_doubt d JOIN patient p ON p.id = d.patient_id WHERE d.settled_at IS NULL
),
told AS (
    SELECT n.patient_id,
           MIN(((CASE n.text_id {texts} ELSE 2 END * 2
                 + CASE WHEN n.addressee = CASE WHEN p.adult_on <= $4 AND p.representative_kind IN ('guardian', 'mandate')
                                                THEN p.representative_kind
                                                WHEN p.adult_on <= $4 THEN 'self'
                                                WHEN p.adult_on > $4 AND p.representative_kind IN ('parent', 'guardian')
                                                THEN p.representative_kind END
                             AND (n.address_index IS NULL OR n.address_index = c.email_index)
                        THEN 0 ELSE 1 END) * 3
                + CASE WHEN n.state = 'handed_over' AND n.sent_at IS NOT NULL THEN 0
                       WHEN n.state = 'sent' AND n.address_index IS NULL THEN 2
                       WHEN n.state = 'sent' AND n.sent_at <= $6 THEN 0
                       ELSE 1 END) * 2
               + CASE WHEN n.sent_at < $5 THEN 0 ELSE 1 END) AS word
    FROM notice n
    JOIN notice_text t ON t.id = n.text_id AND t.observatory_id = $1
    JOIN patient p ON p.id = n.patient_id AND (p.stands_since IS NULL OR n.sent_at >= p.stands_since)
    LEFT JOIN contact c ON c.patient_id = n.patient_id AND c.addressee = n.addressee
    GROUP BY n.patient_id
),
keyed AS (
    SELECT p.id, p.practice_id, p.number, p.person_id, r.taken_at, b.at AS taken_back_at,
           CASE WHEN p.adult_on > $4 AND coalesce(p.representative_kind, '') <> 'guardian'
                THEN p.adult_on END AS closes_on,
           ((((((CASE WHEN e.word > 0 THEN e.word WHEN e.word IS NULL THEN 1
                     WHEN r.taken_at >= $3 THEN 0 ELSE 5 END * 2
                + CASE WHEN u.person_id IS NULL THEN 0 ELSE 1 END) * 2
               + CASE WHEN d.person_id IS NULL THEN 0 ELSE 1 END) * 5
              + coalesce(o.word, CASE WHEN s.person_id IS NULL THEN 0 ELSE 4 END)) * 2
               + CASE WHEN w.person_id IS NULL THEN 0 ELSE 1 END) * 2
             + CASE WHEN p.adult_on <= $4 THEN 0
                    WHEN p.adult_on > $4 AND p.representative_kind IN ('parent', 'guardian') THEN 0 ELSE 1 END) * 3
            + CASE WHEN x.person_id IS NOT NULL THEN 1 WHEN p.left_at IS NOT NULL THEN 2 ELSE 0 END) * 60
           + coalesce(n.word, 15) AS key
    FROM patient p
    LEFT JOIN enrolled e ON e.practice_id = p.practice_id
    LEFT JOIN register r ON r.practice_id = p.practice_id
    LEFT JOIN unresolved u ON u.person_id = p.person_id
    LEFT JOIN pending w ON w.person_id = p.person_id
    LEFT JOIN died x ON x.person_id = p.person_id
    LEFT JOIN doubted d ON d.person_id = p.person_id
    LEFT JOIN objected o ON o.person_id = p.person_id
    LEFT JOIN source_objected s ON s.person_id = p.person_id AND s.practice_id = p.practice_id
    LEFT JOIN taken_back b ON b.person_id = p.person_id
    LEFT JOIN told n ON n.patient_id = p.id
    {among}
),
decided AS (
    SELECT k.*, coalesce(v.bits, -1) AS bits, CASE WHEN v.bits IS NULL THEN 'G40' ELSE v.reason END AS reason
    FROM keyed k LEFT JOIN verdict v ON v.key = k.key
)
