"""Names that people are given, since they cannot type any: nothing to moderate, nobody revealed."""

import random

ADJECTIVES = """
amber ample apt arctic autumn azure balmy blithe bold brave breezy bright brisk bronze bubbly calm
candid careful cheerful chilly clever cloudy coastal cobalt cool copper coral cosy crisp curious
daring dapper dawn deft distant dreamy eager early earnest easy emerald fabled fair famous fearless
fleet floral fluffy fond forest frosty gallant gentle gilded glad glowing golden graceful grand
green happy hardy hazel heroic honest humble indigo ivory jade jaunty jolly jovial joyful keen kind
lively loyal lucky lunar maple marble marine mellow merry mighty mild misty modest mossy neat nimble
noble northern opal orange patient peaceful pearly placid playful pleasant plucky polar polite prime
proud quick quiet radiant rapid ready river robust rosy royal ruby rustic sage sandy scarlet serene
sharp shiny silent silver sincere sky smart smiling snowy soft solar solid southern sparkling spring
spry stable starry steady stellar summer sunny sure swift tender thoughtful tidal tidy tranquil
trusty upbeat valiant velvet vivid warm wavy wild willing windy winter wise witty woodland zesty
""".split()

ANIMALS = """
albatross alpaca anteater antelope armadillo badger barbet bat beaver bee bison bluebird bobcat
bunting butterfly camel capybara caracal caribou cardinal chameleon cheetah chickadee chinchilla
chipmunk civet clam cockatoo condor coral corgi cormorant coyote crab crane cricket curlew deer
dingo dolphin dormouse dove dragonfly duck eagle echidna egret eland elephant elk emu ermine
falcon ferret finch firefly flamingo fox frog gazelle gecko gerbil gibbon giraffe gnu goldfinch
goose grebe grouse hamster hare harrier hawk hedgehog heron hoopoe hummingbird ibex ibis iguana
impala jackal jaguar jay kangaroo kestrel kingfisher kinglet kite kiwi koala kookaburra krill kudu
lark lemming lemur leopard linnet lion lizard llama lobster loon lynx macaw magpie mallard manatee
marmot marten meadowlark meerkat mole mongoose moose moth mouse narwhal newt nightingale numbat
ocelot octopus okapi opossum orca oriole oryx osprey otter owl oyster panda pangolin panther
parrot partridge pelican penguin petrel pheasant pika pipit plover pony porcupine porpoise puffin
puma quail quokka rabbit raccoon raven reindeer robin sable salamander salmon sandpiper seal
serval skylark snail sparrow squid squirrel starfish starling stoat stork swallow swan tamarin
tanager tapir tern thrush tiger toucan trout turtle vicuna vole wagtail wallaby walrus warbler
waxwing wolf wombat woodpecker wren yak zebra
""".split()


def draw(chance: random.Random) -> str:
    """A name such as "Jolly otter"; two people may be given the same one."""
    return f"{chance.choice(ADJECTIVES).capitalize()} {chance.choice(ANIMALS)}"
