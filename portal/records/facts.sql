-- The person facts of one crossing, for every patient of the observatory's practices, decided in the same pass.
-- Each CASE ends in the word that closes. Words are the places in rules/facts.py; the key is its mixed radix.
--   $1 observatory  $2 study ('' at extraction)  $3 registers taken after  $4 today in Paris
--   $5 sent before: reflection over  $6 mailed, $7 posted at or before: silence is delivery by now
-- {texts}: WHEN text THEN word, worked out in Python.  {agreements}: versions that still count.
-- {agreement_ends}: WHEN version THEN the first day on which it does not any more.
-- {among}: a narrowing.  In records/objections.py: whom an objection binds.  In records/possible_matches.py: whom one
-- without a token may mean, who may be one human being, and who is known by full dates of birth only.
WITH RECURSIVE dated AS (
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
    SELECT o.id, b.person_id, o.scope FROM objection o JOIN bound b ON b.objection_id = o.id
    WHERE o.withdrawn_at IS NULL
      AND NOT (o.scope = 'observatory' AND o.scope_ref <> $1)
      AND NOT (o.scope = 'study' AND o.scope_ref <> $2)
),
lifted AS (
    SELECT b.person_id, o.withdrawn_at FROM objection o JOIN bound b ON b.objection_id = o.id
    WHERE o.withdrawn_at IS NOT NULL AND o.scope <> 'practice'
      AND NOT (o.scope = 'observatory' AND o.scope_ref <> $1)
      AND NOT (o.scope = 'study' AND o.scope_ref <> $2)
),
at_source AS (
    SELECT b.person_id, o.scope_ref AS practice_id, MAX(CASE WHEN o.withdrawn_at IS NULL THEN 1 ELSE 0 END) AS objected,
           MAX(o.withdrawn_at) AS taken_back_at
    FROM objection o JOIN bound b ON b.objection_id = o.id WHERE o.scope = 'practice' GROUP BY b.person_id, o.scope_ref
),
-- Without a token: everybody who may be meant, but for those whom the DPO has looked at.
unplaced AS (
    SELECT id FROM provisional_objection WHERE (outcome IS NULL OR outcome = 'not_here')
      AND NOT (scope = 'observatory' AND scope_ref <> $1) AND NOT (scope = 'study' AND scope_ref <> $2)
),
meant AS (
    SELECT o.id, m.person_id FROM unplaced o JOIN ({meant}) m ON m.provisional_id = o.id
),
contested AS ({contested}),
-- Of each no, whom it binds or means, and as whom else she may be known while a doubt is open.
said_no AS (SELECT id, person_id FROM in_force UNION ALL SELECT id, person_id FROM meant),
may_be_one AS ({may_be_one}),
also_known AS (
    SELECT n.id, m.other_id AS person_id FROM said_no n JOIN may_be_one m ON m.person_id = n.person_id
    UNION SELECT a.id, m.other_id FROM also_known a JOIN may_be_one m ON m.person_id = a.person_id
),
known_as AS (SELECT id, person_id FROM said_no UNION SELECT id, person_id FROM also_known),
suspected AS (
    SELECT id, person_id FROM known_as
    UNION SELECT known_as.id, mine.person_id
    FROM known_as
    JOIN person_token theirs ON theirs.person_id = known_as.person_id
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
-- Whom a no binds is not doubted by it, nor who was looked at and cleared of it.
doubted AS (
    SELECT id, person_id FROM meant
    UNION ALL SELECT s.id, s.person_id FROM suspected s
    WHERE NOT EXISTS (SELECT 1 FROM in_force b WHERE b.id = s.id AND b.person_id = s.person_id)
      AND NOT EXISTS (SELECT 1 FROM provisional_cleared x WHERE x.provisional_id = s.id AND x.person_id = s.person_id)
),
asked AS (
    SELECT id, person_id, patient_id FROM rights_request
    WHERE kind <> 'access' AND (state = 'open' OR (state = 'granted' AND kind IN ('erasure', 'restriction')))
),
-- All that is said of a person, and then a row for each of whom anything is.
said AS (
    SELECT person_id, 'taken_back' AS what, withdrawn_at AS at FROM lifted
    UNION ALL SELECT person_id, CASE WHEN scope IN ('observatory', 'study') THEN scope ELSE 'everything' END, NULL
    FROM in_force WHERE scope <> 'practice'
    UNION ALL SELECT person_id, 'doubted', NULL FROM doubted
    UNION ALL SELECT p.person_id, 'unresolved', NULL
    FROM identity_doubt d JOIN patient p ON p.id = d.patient_id WHERE d.settled_at IS NULL
    UNION ALL SELECT person_id, 'pending', NULL FROM asked
    UNION ALL SELECT p.person_id, 'pending', NULL FROM asked a JOIN patient p ON p.id = a.patient_id
    UNION ALL SELECT f.person_id, 'pending', NULL FROM asked a JOIN former_person f ON f.patient_id = a.patient_id
    UNION ALL SELECT person_id, 'died', NULL FROM patient WHERE deceased_on IS NOT NULL
    UNION ALL SELECT person_id, 'died', NULL FROM former_person WHERE deceased_on IS NOT NULL
),
of_person AS (
    SELECT person_id, MAX(at) AS taken_back_at,
           MIN(CASE what WHEN 'everything' THEN 1 WHEN 'observatory' THEN 2 WHEN 'study' THEN 3 END) AS objected,
           MAX(CASE what WHEN 'doubted' THEN 1 ELSE 0 END) AS doubted,
           MAX(CASE what WHEN 'unresolved' THEN 1 ELSE 0 END) AS unresolved,
           MAX(CASE what WHEN 'pending' THEN 1 ELSE 0 END) AS pending,
           MAX(CASE what WHEN 'died' THEN 1 ELSE 0 END) AS died
    FROM said GROUP BY person_id
),
-- Who of a patient's contacts is told: rules/people.py `speakers`.
cared_for AS (
    SELECT patient_id, MAX(alone) AS alone, MAX(represented) AS represented, MAX(guardian) AS guardian,
           MAX(mandate) AS mandate
    FROM (SELECT patient_id, 1 AS alone, 0 AS represented, 0 AS guardian, 0 AS mandate
          FROM ({told_alone}) a
          UNION ALL
          SELECT patient_id, 0, 1, CASE WHEN addressee = 'guardian' AND unreachable_reason IS NULL THEN 1 ELSE 0 END,
                 CASE WHEN addressee = 'mandate' THEN 1 ELSE 0 END
          FROM contact WHERE addressee IN ('guardian', 'mandate')) one
    GROUP BY patient_id
),
reader AS (
    SELECT c.patient_id, c.rank, c.addressee, c.reader_index, c.email_index, c.postal_index,
           c.unreachable_reason, p.stands_since
    FROM contact c
    JOIN patient p ON p.id = c.patient_id
    LEFT JOIN cared_for v ON v.patient_id = c.patient_id
    WHERE CASE WHEN p.adult_on <= $4 AND v.represented = 1 THEN c.addressee IN ('guardian', 'mandate')
               WHEN p.adult_on <= $4 THEN c.addressee = 'self'
               WHEN p.adult_on > $4 AND p.teen_on <= $4 AND v.alone = 1 THEN c.addressee = 'self'
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
site AS (
    SELECT i.id AS practice_id, e.word, e.closes_on, r.taken_at, s.practice_id AS stored, s.decided_at
    FROM practice i
    LEFT JOIN enrolled e ON e.practice_id = i.id
    LEFT JOIN register r ON r.practice_id = i.id
    LEFT JOIN stored s ON s.practice_id = i.id
),
keyed AS (
    SELECT p.id, p.practice_id, p.number, p.person_id, p.stands_since, i.taken_at,
           CASE WHEN o.taken_back_at IS NULL OR s.taken_back_at > o.taken_back_at
                THEN s.taken_back_at ELSE o.taken_back_at END AS taken_back_at,
           i.closes_on AS practice_closes_on,
           CASE WHEN p.teen_on > $4 AND v.alone = 1 THEN p.teen_on
                WHEN p.adult_on > $4 AND v.alone = 1 AND v.represented = 0 THEN NULL
                WHEN p.adult_on > $4 AND v.alone = 0 AND v.guardian = 1 AND v.mandate = 0 THEN NULL
                WHEN p.adult_on > $4 THEN p.adult_on END AS closes_on,
           (((((((CASE WHEN i.word > 0 THEN i.word WHEN i.word IS NULL THEN 1
                       WHEN i.taken_at > $3 THEN 0 ELSE 5 END * 2
                  + coalesce(o.unresolved, 0)) * 2
                 + coalesce(o.doubted, 0)) * 5
                + CASE WHEN o.objected > 0 THEN o.objected WHEN s.objected = 1 THEN 4 ELSE 0 END) * 2
               + coalesce(o.pending, 0)) * 2
              + CASE WHEN p.adult_on IS NOT NULL AND n.patient_id IS NOT NULL THEN 0 ELSE 1 END) * 3
             + CASE WHEN o.died = 1 THEN 1 WHEN p.left_at IS NOT NULL THEN 2 ELSE 0 END) * 60
            + coalesce(n.word, 23)) * 2
           + CASE WHEN $2 = '' OR i.stored IS NULL OR n.word > 0 OR n.patient_id IS NULL THEN 0
                  WHEN n.told_at < i.decided_at THEN 0 ELSE 1 END AS key
    FROM patient p
    LEFT JOIN site i ON i.practice_id = p.practice_id
    LEFT JOIN of_person o ON o.person_id = p.person_id
    LEFT JOIN at_source s ON s.person_id = p.person_id AND s.practice_id = p.practice_id
    LEFT JOIN cared_for v ON v.patient_id = p.id
    LEFT JOIN told n ON n.patient_id = p.id
    {among}
),
decided AS (
    SELECT k.*, coalesce(v.bits, -1) AS bits, CASE WHEN v.bits IS NULL THEN 'G40' ELSE v.reason END AS reason
    FROM keyed k LEFT JOIN verdict v ON v.key = k.key
)
