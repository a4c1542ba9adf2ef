-- The person facts of one crossing, for every patient of the observatory's practices, decided in the same pass.
-- Each CASE ends in the word that closes. Words are the places in rules/facts.py; the key is its mixed radix.
--   $1 observatory  $2 study ('' at extraction)  $3 registers taken after  $4 today in Paris
--   $5 sent before: reflection over  $6 mailed, $7 posted at or before: silence is delivery by now
-- {texts}: WHEN text THEN word, worked out in Python.  {agreements}: versions that still count.
-- {agreement_ends}: WHEN version THEN the first day on which it does not any more.
-- {among}: a narrowing.  In records/objections.py: whom an objection binds, whom one without a token may mean, and who
-- is known by full dates of birth only.
WITH dated AS (
    SELECT practice_id, state, agreement_id, closes_on, CASE agreement_id {agreement_ends} END AS replaced_on
    FROM enrolment WHERE observatory_id = $1
),
standing AS (
    SELECT practice_id, CASE WHEN closes_on IS NULL OR replaced_on < closes_on THEN replaced_on ELSE closes_on END
           AS closes_on,
           CASE WHEN state = 'active' AND closes_on <= $4 THEN 4
                WHEN state = 'active' AND agreement_id IN ({agreements}) THEN 0
                WHEN state = 'active' THEN 3
                WHEN state = 'signed' THEN 2
                WHEN state = 'identified' THEN 3
                ELSE 4 END AS word
    FROM dated
),
-- Where all who are active have a last day, their own or their agreement's, the practice closes with the last of them.
enrolled AS (
    SELECT practice_id, MIN(word) AS word,
           CASE WHEN COUNT(CASE WHEN word = 0 AND closes_on IS NULL THEN 1 END) = 0
                THEN MAX(CASE WHEN word = 0 THEN closes_on END) END AS closes_on
    FROM standing GROUP BY practice_id
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
    WHERE o.withdrawn_at IS NOT NULL AND o.scope <> 'practice'
      AND NOT (o.scope = 'observatory' AND o.scope_ref <> $1)
      AND NOT (o.scope = 'study' AND o.scope_ref <> $2)
    GROUP BY b.person_id
),
source_taken_back AS (
    SELECT b.person_id, o.scope_ref AS practice_id, MAX(o.withdrawn_at) AS at
    FROM objection o JOIN bound b ON b.objection_id = o.id
    WHERE o.withdrawn_at IS NOT NULL AND o.scope = 'practice'
    GROUP BY b.person_id, o.scope_ref
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
      AND NOT (mine.kind = 'name_year' AND {mine_dated} AND {theirs_dated})
),
asked AS (
    SELECT id, person_id, patient_id FROM rights_request
    WHERE kind <> 'access' AND (state = 'open' OR (state = 'granted' AND kind IN ('erasure', 'restriction')))
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
-- Who of a patient's contacts is told: rules/people.py `speakers`.
alone AS (
    SELECT DISTINCT patient_id FROM minor_alone WHERE ended_at IS NULL
),
represented AS (
    SELECT patient_id,
           MAX(CASE WHEN addressee = 'guardian' AND unreachable_reason IS NULL THEN 1 ELSE 0 END) AS guardian,
           MAX(CASE WHEN addressee = 'mandate' THEN 1 ELSE 0 END) AS mandate
    FROM contact WHERE addressee IN ('guardian', 'mandate') GROUP BY patient_id
),
reader AS (
    SELECT c.patient_id, c.rank, c.addressee, c.reader_index, c.email_index, c.postal_index,
           c.unreachable_reason, p.stands_since
    FROM contact c
    JOIN patient p ON p.id = c.patient_id
    LEFT JOIN alone a ON a.patient_id = c.patient_id
    LEFT JOIN represented r ON r.patient_id = c.patient_id
    WHERE CASE WHEN p.adult_on <= $4 AND r.patient_id IS NULL THEN c.addressee = 'self'
               WHEN p.adult_on <= $4 THEN c.addressee IN ('guardian', 'mandate')
               WHEN p.adult_on > $4 AND p.teen_on <= $4 AND a.patient_id IS NOT NULL THEN c.addressee = 'self'
               WHEN p.adult_on > $4 THEN c.addressee IN ('parent', 'guardian')
               ELSE FALSE END
),
judged AS (
    SELECT r.patient_id, r.rank, r.unreachable_reason, n.sent_at,
           ((CASE WHEN n.id IS NULL THEN 1 ELSE CASE n.text_id {texts} ELSE 2 END END * 2
             + CASE WHEN n.addressee = r.addressee
                         AND (n.addressee = 'self' OR n.reader_index = r.reader_index)
                         AND (n.channel = 'hand' OR n.address_index
                              = CASE n.channel WHEN 'post' THEN r.postal_index ELSE r.email_index END)
                    THEN 0 ELSE 1 END) * 3
            + CASE WHEN n.state NOT IN ('sent', 'handed_over') THEN 1
                   WHEN n.text_sha256 = n.approved_sha256 AND n.sent_at IS NOT NULL AND n.server_answer IS NOT NULL
                        AND (n.channel = 'hand' OR n.address_index IS NOT NULL)
                   THEN CASE WHEN n.state = 'handed_over' AND n.channel = 'hand' THEN 0
                             WHEN n.state = 'sent'
                                  AND CASE n.channel WHEN 'post' THEN n.sent_at <= $7 ELSE n.sent_at <= $6 END THEN 0
                             ELSE 1 END
                   ELSE 2 END) * 2
           + CASE WHEN n.sent_at < $5 THEN 0 ELSE 1 END AS word
    FROM reader r
    LEFT JOIN (SELECT n.*, t.sha256 AS approved_sha256 FROM notice n
               JOIN notice_text t ON t.id = n.text_id AND t.observatory_id = $1
              ) n ON n.patient_id = r.patient_id AND (r.stands_since IS NULL OR n.sent_at >= r.stands_since)
),
-- The best notice of each reader; then the worst of those who can be reached: all of them must have been told.
heard AS (
    SELECT patient_id, rank, MAX(unreachable_reason) AS unreachable_reason, MIN(word) AS word,
           MIN(CASE WHEN word = 0 THEN sent_at END) AS told_at
    FROM judged GROUP BY patient_id, rank
),
told AS (
    SELECT patient_id,
           coalesce(MAX(CASE WHEN unreachable_reason IS NULL THEN word END), MIN(word)) AS word,
           coalesce(MAX(CASE WHEN unreachable_reason IS NULL THEN told_at END), MIN(told_at)) AS told_at
    FROM heard GROUP BY patient_id
),
stored AS (
    SELECT e.practice_id, l.at AS decided_at
    FROM (SELECT practice_id, MAX(id) AS id FROM extraction GROUP BY practice_id) newest
    JOIN extraction e ON e.id = newest.id
    LEFT JOIN permit m ON m.id = e.permit_id LEFT JOIN log_entry l ON l.id = m.entry_id
),
keyed AS (
    SELECT p.id, p.practice_id, p.number, p.person_id, r.taken_at,
           CASE WHEN b.at IS NULL OR sb.at > b.at THEN sb.at ELSE b.at END AS taken_back_at,
           e.closes_on AS practice_closes_on,
           CASE WHEN p.teen_on > $4 AND a.patient_id IS NOT NULL THEN p.teen_on
                WHEN p.adult_on > $4 AND a.patient_id IS NOT NULL AND v.patient_id IS NULL THEN NULL
                WHEN p.adult_on > $4 AND a.patient_id IS NULL AND v.guardian = 1 AND v.mandate = 0 THEN NULL
                WHEN p.adult_on > $4 THEN p.adult_on END AS closes_on,
           (((((((CASE WHEN e.word > 0 THEN e.word WHEN e.word IS NULL THEN 1
                       WHEN r.taken_at > $3 THEN 0 ELSE 5 END * 2
                  + CASE WHEN u.person_id IS NULL THEN 0 ELSE 1 END) * 2
                 + CASE WHEN d.person_id IS NULL THEN 0 ELSE 1 END) * 5
                + coalesce(o.word, CASE WHEN s.person_id IS NULL THEN 0 ELSE 4 END)) * 2
               + CASE WHEN w.person_id IS NULL THEN 0 ELSE 1 END) * 2
              + CASE WHEN p.adult_on IS NOT NULL AND n.patient_id IS NOT NULL THEN 0 ELSE 1 END) * 3
             + CASE WHEN x.person_id IS NOT NULL THEN 1 WHEN p.left_at IS NOT NULL THEN 2 ELSE 0 END) * 60
            + coalesce(n.word, 23)) * 2
           + CASE WHEN $2 = '' OR st.practice_id IS NULL OR n.word > 0 OR n.patient_id IS NULL THEN 0
                  WHEN n.told_at < st.decided_at THEN 0 ELSE 1 END AS key
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
    LEFT JOIN source_taken_back sb ON sb.person_id = p.person_id AND sb.practice_id = p.practice_id
    LEFT JOIN alone a ON a.patient_id = p.id
    LEFT JOIN represented v ON v.patient_id = p.id
    LEFT JOIN told n ON n.patient_id = p.id
    LEFT JOIN stored st ON st.practice_id = p.practice_id
    {among}
),
decided AS (
    SELECT k.*, coalesce(v.bits, -1) AS bits, CASE WHEN v.bits IS NULL THEN 'G40' ELSE v.reason END AS reason
    FROM keyed k LEFT JOIN verdict v ON v.key = k.key
)
