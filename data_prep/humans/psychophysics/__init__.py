"""The rapid-categorisation experiment (section 2.2, Fig. 2B): which parts of an image suffice?

settings          what an experiment is, as values; commands what its subcommands do

levels            how much is shown
flood_fill        in which order a map's pixels are revealed
phase_scramble    what they are revealed on
pictures          the images of an experiment
maps              their importance, out of whatever holds it
stimuli           an image and two maps -> PNG files
verify            what must hold of them, looked at in the files
manifest          which files there are, and their checksums
contact_sheet     to look at them
sets              a set of stimuli on disk
generate          `stimuli`: all images of a list
demo              stimuli of built-in photographs

lists             pure: who sees what at which level, in which order
tables            stimuli, lists, trials
allocation        who gets which list, and what becomes of it
answers           training, trials, the end; the server alone judges
service           what the routes call; api the routes, messages what is said, app the wiring
serving           starts it all
errors            what can go wrong, each with its remedy
about_people      what is known of a person; invariants what must always hold
export            everything out again
pages/            one page for the whole visit, and a jsPsych plugin for its trials

observed          trials as arrays, and which of them count
resampling        permutation and bootstrap of people
logistic_gee      regression of clustered answers
thresholds        psychometric curves
analysis          all statistics, with description; figure, page_tables and page show them
observers         simulated people; simulate lets them take part, power counts what is seen
"""
