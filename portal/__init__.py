"""Observatory Portal: doctors enrol, patients are told and can say no, and the gate lets only the others through.

Each step of the mission and its files. Arrows go one way: __main__ → demo, service → app → web → flow →
records | gate | outside → rules. practice stands beside: gate, outside and rules are all that it may use.

    rules/      WHAT IS DECIDED: pure, no input or output
      rules/words.py            the closed words of the mission
      rules/refusals.py         one kind of "no"
      rules/facts.py            the facts a decision reads, in three grains
      rules/clearance.py        every rule, in order, and `decide`
      rules/verdicts.py         every combination decided beforehand
      rules/reasons.py          what each reason means, in words, and its law
      rules/silence.py          has a channel that was heard regularly fallen silent?
      rules/waiting.py          days in Paris, and waits
      rules/pace.py             how fast one mail domain is written to
      rules/due.py              who is told next, by which channel, and why
      rules/postal.py           what stands in an envelope's window; letters' numbers
      rules/typed_code.py       codes that are typed by hand
      rules/people.py           ages, addressees, and the traits by which persons are matched
      rules/codes.py            code systems and their short names
      rules/precision.py        the columns, and how finely each may be released
      rules/ladder.py           the steps by which it may become coarser
      rules/scopes.py           what each kind of program may ask for
      rules/rate.py             how often one caller may ask
      rules/burst.py            more hand-outs at once than anybody can make
      rules/masking.py          which cells of a table are masked
      rules/differing.py        lists of persons that differ by a few
      rules/identifiers.py      does a value name somebody?
      rules/conditions.py       what an authorisation gives, what a study asks for, and the difference
      rules/reviewed.py         the shape of reviewed files
      rules/toml_lines.py       where each key of such a file stands
      rules/fitting.py          does a file fit what stands beside it?
      rules/differences.py      what a draft changes, field by field
      rules/wording.py          a text that calls persons' data anonymous
      rules/reading.py          how hard a text is to read, and the bars of its reader
      rules/merkle.py           the tree: roots and proofs
      rules/bech32.py           the letters of age keys
      rules/enrolment.py        the states of an enrolment, and the steps between them
      rules/redline.py          a newer agreement against the one that was signed
      rules/log_review.py       what in the log somebody else reads, and by when
      rules/log_leaf.py         what a leaf of the log commits to

    flow/       WHAT HAPPENS: one step, one transaction, one log entry
      flow/means.py             what a step needs from outside
      flow/govern.py            load reviewed files; approve and withdraw texts; suspend and close
      flow/review.py            what a file loads is a draft until a second person approves it
      flow/sign_in.py           accounts and sessions
      flow/staff.py             staff leave
      flow/invite.py            a doctor is invited, and her link serves once
      flow/enrol.py             a doctor enrols, signs, pauses, leaves
      flow/look_up.py           she is looked up in the public directory
      flow/suspend.py           an operator suspends her enrolment, and lifts it
      flow/mail_doctor.py       what is mailed to doctors
      flow/register.py          a register is taken in, persons are matched
      flow/register_rows.py     its rows made ready, keyed and sealed     flow/key_bearers.py  who bears a key
      flow/campaign.py          who is due, a campaign started, stopped, resumed
      flow/notify.py            notices sent by mail, and what comes back
      flow/addressees.py        who is to be told, and what has reached her
      flow/paper.py             notices by post: printed, posted, returned
      flow/hand_over.py         a notice handed over at the practice
      flow/minors.py            a minor of fifteen or more asks to be told alone
      flow/outage.py            the path of objections fails, and works again
      flow/hatch.py             a synthetic patient is made, who will say no every hour
      flow/canary.py            she says no over the pages, the gate must withhold her, she takes it back
      flow/counters.py          objections by channel: received = committed = withheld
      flow/opt_out.py           a patient says no, or takes it back
      flow/typed_link.py        a typed code leads to its link
      flow/told_doctor.py       a no told to the doctor
      flow/provisional.py       a no said without a link: on paper, by telephone, by the form
      flow/taken_back.py        and taken back the way it was said
      flow/who_is_who.py        doubts settled: one person, two, or a mistake
      flow/read_contacts.py     contacts opened for the DPO, and that entered
      flow/rights.py            restriction, erasure, rectification, access
      flow/access.py            everything kept about one person, gathered for her
      flow/behind_link.py       what a personal link shows
      flow/receipt_file.py      the receipt of a no as a signed file
      flow/mail_receipt.py      the same, mailed once to the address told
      flow/programs.py          programs let in by a doctor, given a short-lived token, shut out at once
      flow/consent_feed.py      Consents that programs send, all or nothing
      flow/answered.py          the same request sent twice is acted on once
      flow/arrivals.py          an extraction on its way in, resumed where it was cut off
      flow/check.py             of these patients, those who may be used
      flow/changes.py           whom a practice looks at again
      flow/batch.py             what a crossing is asked on, and whether all of it allows it
      flow/decide.py            the batch and every patient decided; one patient explained
      flow/simulate.py          what would pass if something changed
      flow/key_custody.py       keys bound, rotated, deleted
      flow/look.py              has anybody in a list closed since its cut?
      flow/permit.py            the signed list of those who pass
      flow/receive.py           an extraction arrives and is decided again
      flow/basis.py             what a release is made from, and what its approval binds
      flow/release.py           prepare, approve, seal, serve
      flow/sealing.py           the second look, and the same release with fewer rows
      flow/clear_away.py        what killed work left behind
      flow/retract.py           who was delivered and would not be now: deleted by a day
      flow/differ.py            what a release can be laid beside
      flow/erase.py             who may no longer be in the store: her rows leave it by a day
      flow/rewrite.py           the store's files without what must leave them, and the proof
      flow/unchanged.py         nothing closed since the last reconciliation?
      flow/assemble.py          the files of a release
      flow/sequence.py          log entries get their places, checkpoints are signed
      flow/read_log.py          somebody reads what others did alone
      flow/audit.py             the log held against its checkpoints

    records/    WHAT IS KEPT: models by subject, named queries
      records/database.py       the one way to a transaction; SQL for both engines
      records/sqlite_engine.py  BEGIN IMMEDIATE
      records/durable.py        does the database keep what it said it kept?
      records/fields.py         closed words and pairs as constraints
      records/schema.py         models → SQLAlchemy, for migrations
      records/migrations.py     to the newest schema
      records/ledger.py         the log
      records/tree.py           its places and checkpoints
      records/accounts.py       accounts and sessions
      records/governance.py     observatories, authorisations, studies, texts
      records/drafts.py         what files say of them and nobody has approved yet
      records/people.py         practices, persons, patients, contacts
      records/clients.py        programs, the practices that let them act, their tokens
      records/contacts.py       contacts of patients and holders of authority, written
      records/enrolments.py     doctors' enrolments, invitations, signatures
      records/notices.py        notices, campaigns, the outbox, readings of returns
      records/outbox.py         what waits to be mailed
      records/hand_outs.py      hand-outs that a program reported
      records/print_runs.py     letters that wait, and their print runs
      records/objections.py     objections   records/possible_matches.py  who may be whom   records/standing.py  who is
      records/canaries.py       the canary's rounds, and what was counted of each channel
      records/sent_consents.py  Consents that programs sent, and objections as programs see them
      records/channels.py       objections by channel, each stage from its own evidence
      records/log_reviews.py    which entries were read, and which wait
      records/rights_requests.py  restriction, erasure, rectification, access
      records/held.py           everything kept about one person
      records/releases.py       permits, extractions, releases
      records/retractions.py    what recipients must delete
      records/stored.py         who is in the store     records/closed_in_store.py  who must leave it
      records/store_overview.py     its erasures, in numbers and with proof
      records/key_bindings.py   which key is a study's own
      records/clearance.py      facts.sql and the verdict table      records/bearing.py  the entries that bear on it
      records/behind_link.py    what stands behind a personal link
      records/overview.py       what the desk and the public see
      records/path_overview.py  is the path of objections known to work?
      records/identity_overview.py  who is who, as the desk sees it
      records/enrolment_overview.py  enrolments, as their doctor and the desk see them
      records/practice_overview.py  what a doctor sees
      records/practice_papers.py  what her papers are filled with
      records/practice_to_do.py  what she has to do
      records/release_overview.py   what is seen of releases

    gate/       WHAT GOES THROUGH: files in, files out; no database, no network
      gate/register.py          a register file in, rows or every problem out
      gate/register_row.py      what each column may hold
      gate/register_fhir.py     FHIR patients as rows
      gate/register_faults.py   the words of a refused file
      gate/toml_file.py         a reviewed file in, or every place that is off out
      gate/holders.py           the second file: further holders of authority
      gate/columns.py           records of any form as one table
      gate/forms.py             which form a folder has
      gate/flat.py              CSV, Parquet, flat NDJSON
      gate/fhir.py              a FHIR Bulk Data folder
      gate/cells.py             values of one record, checked
      gate/record_facts.py      the facts of a record, in SQL
      gate/terms.py             the terms of a permit
      gate/permit.py            a permit written and read
      gate/filtering.py         the filter
      gate/outputs.py           the columns that leave, each with all that may stand in it
      gate/packing.py           a record as a few whole numbers, and back
      gate/buckets.py           passing rows sorted into files, the same bytes each time
      gate/engine.py            DuckDB, closed in
      gate/spark.py             the same filter on a cluster
      gate/spark_records.py     records of any Spark file system as one table
      gate/spark_files.py       their files and headers
      gate/spark_sql.py         the filter's SQL as Spark reads it
      gate/extraction.py        what a practice sends, verified
      gate/store.py             the observatory's store
      gate/naming.py            no value that leaves names somebody
      gate/combinations.py      who shares which values
      gate/disclosure.py        k, uniques, small cells
      gate/generalise.py        coarser, until few are left alone
      gate/protect.py           rows made safe, or refused
      gate/aggregates.py        a table of persons, small cells masked
      gate/manifest.py          the papers of a release
      gate/shrinking.py         somebody taken out of released files
      gate/unfinished.py        what the portal keeps of a release, encrypted
      gate/age.py               files encrypted for one reader
      gate/delivery.py          a sealed release as its recipient gets it
      gate/readme.py            the words of a release
      gate/verify.py            a release verified offline
      gate/retraction.py        retractions as CSV and FHIR
      gate/signature.py         Ed25519 statements
      gate/checkpoint.py        checkpoints of the log as signed notes
      gate/log_proof.py         the proof that an entry stands in the log
      gate/receipt.py           a patient's receipt, signed and verified
      gate/folders.py           files and folders whole or not at all

    outside/    WHAT WE TALK TO
      outside/clock.py          what time it is
      outside/keys.py           the key families
      outside/keystore.py       a folder of keys, or a secret store
      outside/tokens.py         sealed contacts, link tokens, pseudonyms
      outside/assertion.py      how a program proves who it is
      outside/identity.py       OpenID Connect
      outside/discovery.py      what a provider says of itself
      outside/trust.py          by which authorities whoever is asked is known
      outside/claims.py         who somebody is
      outside/directory.py      the public directory of health professionals
      outside/mail.py           SMTP
      outside/envelope.py       a notice as a message
      outside/returns.py        what comes back
      outside/bounces.py        what a message says that came back
      outside/typeset.py        paper as PDF
      outside/portal_api.py     the portal's interface, as a practice's program meets it
      outside/portal_answers.py  and what it answers
      outside/own_pages.py      the portal's own pages, as a patient meets them

    web/        WHO IS LOOKING
      web/routes.py             the whole site on one page
      web/frame.py              what every page has
      web/render.py             templates, two languages
      web/requests.py           requests counted by route
      web/metrics.py            what monitors read
      web/security.py           headers, forged origins
      web/problems.py           refusals and faults as pages
      web/public.py             home, transparency
      web/join.py               what a doctor reads before she signs in
      web/sign_in.py            sign in and out
      web/session.py            the cookie of a session, and its idle end
      web/patient.py            the personal link
      web/by_code.py            the page for a letter's code
      web/without_link.py       the form for a no without a link
      web/doctor_frame.py       at which of her practices a doctor looks and acts
      web/doctor_joining.py     site, agreement, signature and its copy
      web/doctor.py             doctors' pages
      web/doctor_handing.py     a notice handed out at the practice
      web/doctor_software.py    what acts for the practice by itself
      web/doctor_papers.py      posters, leaflets, blank forms and the doctor's file
      web/doctor_permits.py     what a practice may send
      web/doctor_patients.py    her patients' states, what to do, a no told to her
      web/desk.py               the desk
      web/desk_enrolments.py    doctors at the desk
      web/desk_campaigns.py     campaigns at the desk
      web/desk_letters.py       letters at the desk
      web/desk_objections.py    a no without a link at the desk
      web/desk_programs.py      programs at the desk
      web/desk_identity.py      doubts and requests at the desk
      web/desk_drafts.py        drafts, authorisations and studies at the desk
      web/desk_releases.py      releases at the desk
      web/api.py                the interface for practice software
      web/api_reading.py        what a program sent, read and checked
      web/api_forms.py          what programs send and are answered
      web/api_description.py    every address of it, and its description
      web/fhir_api.py           FHIR: objections as Consents
      web/fhir_consent.py       Consents that programs send, read and checked
      web/fhir_elements.py      what may stand in one
      web/fhir_resources.py     the FHIR resources that are served
      web/programs_door.py      which programs are let in, and how often
      web/archive.py            several files as one
      web/recipient.py          a study team's releases
      web/letters.py            notices and receipts as mail
      web/print_file.py         notices on paper
      web/on_paper.py           texts as PDF
      web/waiting_room.py       posters and leaflets
      web/rich_text.py          texts to be edited
      web/access_file.py        what is handed out to who asks for access

    demo/       WHO TRIES IT OUT: refused outside demo mode
      demo/run.py               play once, then serve
      demo/play.py              the acts in order
      demo/driver.py            what the driver knows
      demo/opening.py           set up, enrol
      demo/telling.py           registers, notices, objections
      demo/crossing.py          extraction, release
      demo/stage.py             everything started on this machine
      demo/cast.py              who plays what
      demo/bulk.py              the records, by practice
      demo/registers.py         what practices hand in
      demo/browser.py           people at their browsers
      demo/people.py            who can sign in
      demo/provider.py          the identity provider
      demo/mailbox.py           the SMTP server
      demo/mailbox_pages.py     the mail in a browser
      demo/bare_page.py         plain pages of the demo's own
      demo/clock.py             a clock that plays the past
      demo/story.py             what the driver did
      demo/funnel.py            what passed, and why the rest stayed

    practice/   WHAT RUNS AT THE DOCTOR'S: no database, only the portal is spoken to
      practice/practice_file.py  what its program is told
      practice/work_folder.py   its lock, its log, what an unfinished run left
      practice/at_hand.py       what is there and still good
      practice/sending.py       from where it was cut off
      practice/steps.py         register, permit, filter, sending

    __main__.py   the command line      app.py   puts the parts together
    wiring.py     what the settings say, made
    service.py    pages and worker      settings.py   what the operator may set
    log_commands.py   the log's commands      release_commands.py   a release verified and opened
    notice_commands.py   campaigns and letters      objection_commands.py   objections on paper and by telephone
    receipt_commands.py   a patient's receipt verified
    key_commands.py   the keys' commands      staff_commands.py   who works at the desk
    extract_command.py   the filter's command      practice_commands.py   a practice's program
"""
