"""What every study of people needs, whatever it measures. Rooms for one study stand above it.

settings.py        what a study is: frozen, from flags; secrets from files or the environment
tables.py          tables about people; each room above has tables of its own
database.py        write() and read(), the only two ways to the rows; versions and migrations
participants.py    people and their given names; sessions.py their cookies; consent.py their word
contacts.py        addresses to write to, by choice
recruitment.py     Prolific, Mechanical Turk, ?pid=: one shape for all
withdrawal.py      what is stored about a person, and how it goes away
visits.py          all of that for a server: who visits; api.py its routes, messages.py its words
errors.py          what can go wrong, each with its remedy and its HTTP status
readiness.py       whether a process can serve now
security.py        headers, same-origin writes, limit of size; rate_limits.py of rate;
                   http_limits.py of a request's head
serving.py         the shape of an application, its pages, and uvicorn; workers.py more processes
writing.py         whole files, tables, JSON; pseudonyms.py what exports call people
clocks.py          what time it is; browser.py simulated people's side of the line
backup.py          copies that are verified; invariants.py what must always hold
commands.py        what the subcommands of `data_prep.studies` do
pages/             what all pages share: style, the outbox, finding elements
"""
