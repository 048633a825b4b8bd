"""The help page about the sandbox's faults and its endpoints under `/sandbox/`. Text only."""

PAGE = """\
A fault is a JSON object. Give it at start (--fault JSON, again and again; --faults FILE with
one object or a list) or while the sandbox runs:

  curl localhost:PORT/sandbox/faults -d '{"fault": "status", "status": 503, "times": 3}'

WHAT IT DOES: "fault" is one of
  latency          answers later: "seconds": 0.2, or [0.05, 0.3] for any time between the two
  hold             answers only when this fault is removed (DELETE /sandbox/faults/NAME)
  status           answers "status" 300 to 599; with "message", "location" (for 3xx), "headers" {},
                   "retryAfterSeconds": 2, "retryAfterForm": "seconds" or "date";
                   "accept": true accepts the contacts first (accept, then answer 500 or 504)
  refuse_contact   422 (or "status" 400, 413) for the whole request that holds "person" or "reference"
  refuse_campaign  404 (or another 4xx "status") for "campaign"
  capacity         429 (or "status" 503) for requests beyond "atOnce": 8 in flight, or beyond
                   "perSecond": 50, of which up to a second's worth may come together. Of one campaign
                   with "campaign", else of all. Such a refusal comes at once, whatever latency there is
  item_errors      200 with data.errors. The items name the contacts of "person" or "reference", else
                   the first "count" (1) of the request; "namedBy": customData (default), phone, code,
                   everything, or nobody. Contacts that are named get no text; with nobody all get one
  hang             never answers
  reset            resets the connection (RST) instead of an answer
  close            closes the connection (FIN) instead of an answer
  half_head        breaks off inside the answer's head; "status": 200
  half_body        whole head, half a body; "status": 200
  garbage          bytes that are no HTTP
  unreadable       a whole 2xx whose body is not JSON; "status": 200
  The last seven accept the contacts first; with "accept": false nothing is accepted.

WHEN IT FIRES: every condition that is given must hold
  "campaign": 421            only this campaign
  "person": "+34600111222"   only requests with this person: a phone, an external code (code:123 for
                             one that looks like a phone), or a list of them
  "reference": "order-1"     only requests with this customData, or one of a list
  "after": 2                 does not fire for the first two requests that match
  "times": 3                 fires three times, then never again
  "probability": 0.1         fires for one request in ten; "seed": 7 says for which
  "name": "slow-otp"         what it is called in answers and logs; arming the name again replaces it
Every latency and hold that fires delays the answer. Of the other faults, the first that fires decides it.
Faults apply only to requests with the right key. One that names no campaign, person or reference applies
whatever the body holds, so check --connect meets it, too; then nobody is accepted, and item_errors does not
apply. Accepted contacts are recorded as soon as the body is complete, before any delay and any answer.

ENDPOINTS (no key needed)
  GET    /sandbox/summary     all counts, live: accepted, duplicates, disabled, created, statuses,
                              most requests in flight at once; for all and by campaign.
                              ?wait=SECONDS answers once &accepted= &requests= &inFlight= are reached
                              and &atMostInFlight= is kept
  GET    /sandbox/contacts    every accepted contact, JSON Lines; ?campaign= &person= &reference=
                              &after=REQUEST_ID
  GET    /sandbox/requests    every request, JSON Lines; ?campaign= &outcome= &fault= &after=REQUEST_ID
  GET    /sandbox/repeats     references that were accepted more than once; ?campaign=
  DELETE /sandbox/records     forget requests, contacts and people; faults and disabled people stay
  GET    /sandbox/faults      armed faults, how often each matched and fired
  PUT, POST, DELETE           PUT replaces all, POST adds, DELETE removes all; DELETE /sandbox/faults/NAME
  POST   /sandbox/disabled    {"persons": [...]} get no texts; GET lists, DELETE enables them again
  POST   /sandbox/known       {"contacts": [{"phoneE164": ..., "externalCode": ...}]} exist already
"""
