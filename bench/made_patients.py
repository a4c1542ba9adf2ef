"""Patients, notices and objections in a migrated PostgreSQL database, as rows of ours would be, made by SQL.

One addressee and notice a patient and for 6 % another notice, 4 % objections, three matching tokens a
person. Foreign keys are not checked while filling; every row that a decision reads is there.
"""

from datetime import UTC, date, datetime, timedelta

import psycopg

from portal.records.clearance import Thresholds
from portal.rules.facts import Text

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
PER_PRACTICE = 3_000

THRESHOLDS = Thresholds(
    observatory_id="observatory",
    study_id="study",
    registers_since=NOW - timedelta(days=45),
    today=date(2026, 11, 20),
    reflected_before=NOW - timedelta(days=30),
    silent_before=NOW - timedelta(days=7),
    posted_before=NOW - timedelta(days=14),
    texts=(("text-1", Text.VALID), ("text-0", Text.SUPERSEDED)),
    agreements=((1, None),),
)

FILL = """
SET session_replication_role = replica;
SELECT setseed(0.25);
INSERT INTO log_entry (kind, at, actor, summary) VALUES ('made', '{now}', 'bench', 'rows made for a benchmark');
INSERT INTO observatory (id, name, controller, contact, dpo_contact, phone, postal_address, active, register_max_days,
    entry_id) VALUES ('observatory', 'o', 'c', 'c', 'd', '', '', true, 45, 1);
INSERT INTO agreement_text (id, version, language, body, sha256, entry_id, observatory_id)
    VALUES (1, '1', 'fr', '{{}}', '', 1, 'observatory');
INSERT INTO notice_text (id, version, language, reader, body, sha256, state, author, approved_by, approved_at, entry_id,
    observatory_id) SELECT 'text-' || i, i::text, 'fr', 'adult', '{{}}', '', 'published', 'a', 'b', '{now}', 1,
    'observatory' FROM generate_series(0, 1) i;
INSERT INTO practice (id, finess, name, city, entry_id)
    SELECT 'practice-' || lpad(i::text, 4, '0'), lpad(i::text, 9, '0'), 'p', 'c', 1 FROM generate_series(0, {last}) i;
INSERT INTO register_import (id, taken_at, file_sha256, rows, partial, entry_id, practice_id)
    SELECT i + 1, CASE WHEN i % 50 = 7 THEN timestamptz '{now}' - interval '90 days'
    ELSE timestamptz '{now}' - interval '3 days' END, '', {each}, false, 1, 'practice-' || lpad(i::text, 4, '0')
    FROM generate_series(0, {last}) i;
INSERT INTO enrolment (state, doctor_number, agreement_sha256, includes_history, identified_at, signed_at, active_from,
    verified_by, ended_at, account_id, agreement_id, entry_id, observatory_id, practice_id)
    SELECT CASE WHEN i % 20 = 3 THEN 'left' ELSE 'active' END, d::text, '', true, '{now}', '{now}', '{now}', 'v', NULL,
    i * 3 + d, 1, 1, 'observatory', 'practice-' || lpad(i::text, 4, '0')
    FROM generate_series(0, {last}) i, generate_series(0, 2) d;
CREATE UNLOGGED TABLE made AS SELECT *, a >= 0.002 AND a < 0.14 AS parent FROM (
    SELECT i, md5(i::text)::uuid AS person, i / {each} AS practice, random() AS a, random() AS b, random() AS c
    FROM generate_series(0, {patients} - 1) i) drawn;
INSERT INTO person (id, import_batch_id) SELECT person, practice + 1 FROM made;
INSERT INTO patient (id, number, doctor_number, birth_date, sex, adult_on, language, representative_kind, deceased_on,
    left_at, row_digest, import_batch_id, person_id, practice_id)
    SELECT i + 1, i::text, (i % 3)::text, '1960-01-01', 'female',
    CASE WHEN a < 0.002 THEN NULL WHEN a < 0.15 THEN date '2032-05-01' ELSE date '1978-01-01' END, 'fr',
    CASE WHEN a >= 0.002 AND a < 0.14 THEN 'parent' END, CASE WHEN b < 0.01 THEN date '2026-01-01' END,
    CASE WHEN b > 0.97 THEN timestamptz '{now}' END, '\\x00', practice + 1, person,
    'practice-' || lpad(practice::text, 4, '0') FROM made;
INSERT INTO contact (rank, addressee, sealed, email_index, reader_index, import_batch_id, patient_id)
    SELECT CASE WHEN parent THEN 1 ELSE 0 END, CASE WHEN parent THEN 'parent' ELSE 'self' END, '\\x00',
    CASE WHEN c < 0.9 THEN md5('mail' || i) END, CASE WHEN parent THEN md5('parent' || i) END, practice + 1, i + 1
    FROM made;
INSERT INTO notice (id, addressee, reader_index, channel, state, token_hash, address_index, sent_at, server_answer,
    text_sha256, entry_id, patient_id, text_id)
    SELECT md5('n' || i)::uuid, CASE WHEN parent THEN 'parent' ELSE 'self' END,
    CASE WHEN parent THEN md5('parent' || i) END, CASE WHEN c < 0.9 THEN 'email' ELSE 'hand' END,
    CASE WHEN c >= 0.9 THEN 'handed_over' WHEN b BETWEEN 0.2 AND 0.25 THEN 'bounced' ELSE 'sent' END,
    md5('t' || i), CASE WHEN c < 0.9 THEN md5('mail' || CASE WHEN c < 0.01 THEN -1 ELSE i END) END,
    CASE WHEN b > 0.9 THEN timestamptz '{now}' - interval '10 days' ELSE timestamptz '{now}' - interval '60 days' END,
    '250', '', 1, i + 1, CASE WHEN b BETWEEN 0.3 AND 0.35 THEN 'text-0' ELSE 'text-1' END FROM made WHERE b < 0.95;
INSERT INTO notice (id, addressee, channel, state, token_hash, sent_at, server_answer, text_sha256, entry_id,
    patient_id, text_id)
    SELECT md5('m' || i)::uuid, 'self', 'hand', 'handed_over', md5('u' || i),
    timestamptz '{now}' - interval '50 days', '250', '', 1, i + 1, 'text-1' FROM made WHERE c > 0.94;
INSERT INTO objection (id, scope, scope_ref, channel, actor, received_at, withdrawn_at, withdrawal_id, entry_id,
    patient_id, person_id)
    SELECT md5('o' || i)::uuid, CASE i % 4 WHEN 0 THEN 'everything' WHEN 1 THEN 'observatory' WHEN 2 THEN 'study'
    ELSE 'practice' END, CASE i % 4 WHEN 0 THEN '' WHEN 1 THEN 'observatory' WHEN 2 THEN 'study'
    ELSE 'practice-' || lpad(practice::text, 4, '0') END, 'link', 'patient', '{now}',
    CASE WHEN a > 0.9 THEN timestamptz '{now}' END, CASE WHEN a > 0.9 THEN 1 END, 1, i + 1, person
    FROM made WHERE c BETWEEN 0.4 AND 0.44;
INSERT INTO person_token (kind, token, person_id)
    SELECT 'key:nir', md5('k' || i), person FROM made WHERE c > 0.1
    UNION ALL SELECT 'name_date', md5('d' || CASE WHEN c < 0.05 THEN i / 2 ELSE i END), person FROM made
    UNION ALL SELECT 'name_year', md5('y' || CASE WHEN c < 0.05 THEN i / 2 ELSE i END), person FROM made;
INSERT INTO identity_doubt (reason, import_batch_id, patient_id) SELECT 'key', practice + 1, i + 1
    FROM made WHERE c BETWEEN 0.500 AND 0.502;
DROP TABLE made;
"""


def fill(url: str, patients: int) -> None:
    """Fills a migrated database; every table is analysed at the end, as autovacuum would have done."""
    with psycopg.connect(url, autocommit=True) as con:
        last = patients // PER_PRACTICE - 1
        con.execute(FILL.format(now=NOW.isoformat(), last=last, each=PER_PRACTICE, patients=patients))
        con.execute("VACUUM ANALYZE")
