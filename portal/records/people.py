"""Practices, persons and their patients, contacts apart and encrypted, and the registers they came with."""

from uuid import UUID

from tortoise import fields
from tortoise.indexes import Index
from tortoise.migrations.constraints import CheckConstraint
from tortoise.models import Model

from portal.records.fields import one_of, together, word
from portal.records.ledger import LogEntry
from portal.rules.words import Addressee, Language, Sex, Unreachable


class Practice(Model):
    id = fields.CharField(max_length=80, primary_key=True)
    finess = fields.CharField(max_length=9, unique=True)
    name = fields.CharField(max_length=200)
    city = fields.CharField(max_length=120, default="")
    public_key = fields.BinaryField(null=True)
    entry_id: int
    entry: fields.ForeignKeyRelation[LogEntry] = fields.ForeignKeyField("portal.LogEntry", on_delete=fields.RESTRICT)

    class Meta:
        table = "practice"
        indexes = (Index(fields=("entry_id",), name="practice_entry"),)


class RegisterImport(Model):
    """A register file taken in whole by one entry; its rows are that entry's facts."""

    id = fields.BigIntField(primary_key=True, generated=True)
    practice_id: str
    practice: fields.ForeignKeyRelation[Practice] = fields.ForeignKeyField("portal.Practice", on_delete=fields.RESTRICT)
    taken_at = fields.DatetimeField()
    file_sha256 = fields.CharField(max_length=64)
    rows = fields.IntField()
    partial = fields.BooleanField()
    entry_id: int
    entry: fields.ForeignKeyRelation[LogEntry] = fields.ForeignKeyField("portal.LogEntry", on_delete=fields.RESTRICT)

    class Meta:
        table = "register_import"
        indexes = (
            Index(fields=("practice_id", "taken_at"), name="register_import_practice"),
            Index(fields=("entry_id",), name="register_import_entry"),
        )


class Person(Model):
    """A human being, by an immutable random id from which every pseudonym is derived."""

    id = fields.UUIDField(primary_key=True)
    import_batch_id: int
    import_batch: fields.ForeignKeyRelation[RegisterImport] = fields.ForeignKeyField(
        "portal.RegisterImport", on_delete=fields.RESTRICT
    )

    class Meta:
        table = "person"
        indexes = (Index(fields=("import_batch_id",), name="person_import"),)


class Patient(Model):
    """A person at one practice. `teen_on`, `adult_on`: the first days on which she certainly is 15, 18; null: birth
    unknown. `representative_kind` is the register's first holder; every holder stands in `contact`.

    `traits`: eight bytes of each token that this very row gave its person (flow/register_rows.py). `stands_since`:
    when the row came to stand for somebody else than before; what was told earlier was told to another.
    """

    id = fields.BigIntField(primary_key=True, generated=True)
    practice_id: str
    practice: fields.ForeignKeyRelation[Practice] = fields.ForeignKeyField("portal.Practice", on_delete=fields.RESTRICT)
    number = fields.CharField(max_length=80)
    person_id: UUID
    person: fields.ForeignKeyRelation[Person] = fields.ForeignKeyField("portal.Person", on_delete=fields.RESTRICT)
    doctor_number = fields.CharField(max_length=80, default="")
    birth_date = fields.CharField(max_length=10, default="")
    sex = word(Sex)
    teen_on = fields.DateField(null=True)
    adult_on = fields.DateField(null=True)
    language = word(Language)
    representative_kind = word(Addressee, null=True)
    deceased_on = fields.DateField(null=True)
    left_at = fields.DatetimeField(null=True)
    row_digest = fields.BinaryField()
    traits = fields.BinaryField(null=True)
    stands_since = fields.DatetimeField(null=True)
    import_batch_id: int
    import_batch: fields.ForeignKeyRelation[RegisterImport] = fields.ForeignKeyField(
        "portal.RegisterImport", on_delete=fields.RESTRICT
    )

    class Meta:
        table = "patient"
        unique_together = (("practice", "number"),)
        indexes = (
            Index(fields=("person_id",), name="patient_person"),
            Index(fields=("import_batch_id",), name="patient_import"),
        )
        constraints = (
            one_of("sex", Sex, name="patient_sex"),
            one_of("language", Language, name="patient_language"),
            one_of("representative_kind", Addressee, name="patient_representative", or_null=True),
        )


class PersonToken(Model):
    """A keyed token by which persons are matched: `key:<type>`, `name_date` or `name_year`. Never the trait itself."""

    id = fields.BigIntField(primary_key=True, generated=True)
    person_id: UUID
    person: fields.ForeignKeyRelation[Person] = fields.ForeignKeyField("portal.Person", on_delete=fields.CASCADE)
    kind = fields.CharField(max_length=24)
    token = fields.CharField(max_length=64)

    class Meta:
        table = "person_token"
        unique_together = (("person", "kind", "token"),)
        indexes = (Index(fields=("kind", "token"), name="person_token_lookup"),)


class FormerPerson(Model):
    """A person that a patient row once stood for: what was said through the row still binds her.

    `stood_since`: the row's `stands_since` of that time. `deceased_on`: her death, as this row knew it.
    """

    id = fields.BigIntField(primary_key=True, generated=True)
    patient_id: int
    patient: fields.ForeignKeyRelation[Patient] = fields.ForeignKeyField("portal.Patient", on_delete=fields.CASCADE)
    person_id: UUID
    person: fields.ForeignKeyRelation[Person] = fields.ForeignKeyField("portal.Person", on_delete=fields.RESTRICT)
    stood_since = fields.DatetimeField(null=True)
    deceased_on = fields.DateField(null=True)
    import_batch_id: int
    import_batch: fields.ForeignKeyRelation[RegisterImport] = fields.ForeignKeyField(
        "portal.RegisterImport", on_delete=fields.RESTRICT
    )

    class Meta:
        table = "former_person"
        unique_together = (("patient", "person"),)
        indexes = (
            Index(fields=("person_id",), name="former_person_person"),
            Index(fields=("import_batch_id",), name="former_person_import"),
        )


class IdentityDoubt(Model):
    """An open question about who a patient is; while open, nothing of this patient passes (G40)."""

    id = fields.BigIntField(primary_key=True, generated=True)
    patient_id: int
    patient: fields.ForeignKeyRelation[Patient] = fields.ForeignKeyField("portal.Patient", on_delete=fields.CASCADE)
    reason = fields.CharField(max_length=40)
    import_batch_id: int
    import_batch: fields.ForeignKeyRelation[RegisterImport] = fields.ForeignKeyField(
        "portal.RegisterImport", on_delete=fields.RESTRICT
    )
    settled_at = fields.DatetimeField(null=True)
    settled_by = fields.CharField(max_length=80, null=True)

    class Meta:
        table = "identity_doubt"
        unique_together = (("patient", "reason", "import_batch"),)
        indexes = (Index(fields=("import_batch_id",), name="identity_doubt_import"),)
        constraints = (together("settled_at", "settled_by", name="identity_doubt_settled"),)


class MinorAlone(Model):
    """A minor of fifteen or more asked to be told alone, until `ended_at`: recorded by her doctor or at the desk."""

    id = fields.BigIntField(primary_key=True, generated=True)
    patient_id: int
    patient: fields.ForeignKeyRelation[Patient] = fields.ForeignKeyField("portal.Patient", on_delete=fields.RESTRICT)
    asked_at = fields.DatetimeField()
    ended_at = fields.DatetimeField(null=True)
    entry_id: int
    entry: fields.ForeignKeyRelation[LogEntry] = fields.ForeignKeyField(
        "portal.LogEntry", on_delete=fields.RESTRICT, related_name="minors_alone"
    )
    ending_id: int | None
    ending: fields.ForeignKeyNullableRelation[LogEntry] = fields.ForeignKeyField(
        "portal.LogEntry", on_delete=fields.RESTRICT, null=True, related_name="minors_alone_ended"
    )

    class Meta:
        table = "minor_alone"
        indexes = (
            Index(fields=("patient_id", "ended_at"), name="minor_alone_patient"),
            Index(fields=("entry_id",), name="minor_alone_entry"),
            Index(fields=("ending_id",), name="minor_alone_ending"),
        )
        constraints = (together("ended_at", "ending_id", name="minor_alone_ended"),)


class Contact(Model):
    """Names and addresses of one addressee of a patient, encrypted and bound to this row; searched blind.

    `rank`: 0 the patient, 1 the register's representative, from 2 further holders of authority. `reader_index`: who a
    representative is (kind and name), so that another one is another reader; null for the patient herself.
    `email_index`: the address; of a representative, who and where, since a family may share one mailbox.
    `postal_index`: name and address as they stand on a letter; null when no letter can be sent there.
    `unreachable_reason`: why this holder cannot be reached, in a closed word; then the others are enough.
    """

    id = fields.BigIntField(primary_key=True, generated=True)
    patient_id: int
    patient: fields.ForeignKeyRelation[Patient] = fields.ForeignKeyField("portal.Patient", on_delete=fields.CASCADE)
    rank = fields.IntField()
    addressee = word(Addressee)
    sealed = fields.BinaryField()
    email_index = fields.CharField(max_length=64, null=True)
    postal_index = fields.CharField(max_length=64, null=True)
    reader_index = fields.CharField(max_length=64, null=True)
    unreachable_reason = word(Unreachable, null=True)
    import_batch_id: int
    import_batch: fields.ForeignKeyRelation[RegisterImport] = fields.ForeignKeyField(
        "portal.RegisterImport", on_delete=fields.RESTRICT
    )

    class Meta:
        table = "contact"
        unique_together = (("patient", "rank"),)
        indexes = (
            Index(fields=("email_index",), name="contact_email"),
            Index(fields=("import_batch_id",), name="contact_import"),
        )
        constraints = (
            one_of("addressee", Addressee, name="contact_addressee"),
            one_of("unreachable_reason", Unreachable, name="contact_unreachable", or_null=True),
            CheckConstraint(check="(rank = 0) = (addressee = 'self')", name="contact_self"),
        )


TOLD_ALONE = """
    SELECT m.patient_id FROM minor_alone m JOIN patient q ON q.id = m.patient_id
    WHERE m.ended_at IS NULL AND (q.stands_since IS NULL OR m.asked_at >= q.stands_since
      OR EXISTS (SELECT 1 FROM identity_doubt d WHERE d.patient_id = q.id AND d.settled_at IS NULL))
"""
"""The patients who are minors and told alone: not who has the number of one who was, once it is settled that she is
another."""
