"""The words that the dialogues are made of. All lists are ours; `talk`, `skills`, `shapes` and `elsewhere` draw from
them.
"""
# ruff: noqa: SIM905 (lists of words read best as text)

NAMES = (
    "Ada Alan Alice Amara Anna Arun Ben Bruno Carla Chen Clara Daniel Dara David Elena Emil Emma Erik Eva Felix "
    "Fatima "
    "Grace Hana Henry Hugo Ibrahim Ida Ines Ivan Jack Jana John Jonas Julia Kai Karim Kate Kenji Lara Leo Lena "
    "Lin Lucas "
    "Lucy Luis Maria Marie Mark Maya Mei Mia Milan Mira Nadia Nina Noah Nora Oliver Olga Omar Oscar Paul Peter Petra "
    "Priya Rosa Robin Ruth Sam Sara Simon Sofia Stefan Tara Theo Tom Uma Vera Victor Viola Wanda Yara Yusuf Zoe "
    "Bob Max "
    "Rita Otto Leila Marta Pablo Dmitri Aiko Sven Greta Pia Tariq"
).split()

CAPITALS = {
    "France": "Paris", "Germany": "Berlin", "Italy": "Rome", "Spain": "Madrid", "Portugal": "Lisbon",
    "Austria": "Vienna", "Switzerland": "Bern", "Belgium": "Brussels", "the Netherlands": "Amsterdam",
    "Denmark": "Copenhagen", "Sweden": "Stockholm", "Norway": "Oslo", "Finland": "Helsinki", "Iceland": "Reykjavik",
    "Ireland": "Dublin", "the United Kingdom": "London", "England": "London", "Poland": "Warsaw", "Greece": "Athens",
    "Hungary": "Budapest", "Romania": "Bucharest", "Bulgaria": "Sofia", "Croatia": "Zagreb", "Serbia": "Belgrade",
    "Ukraine": "Kyiv", "Russia": "Moscow", "Turkey": "Ankara", "Egypt": "Cairo", "Morocco": "Rabat",
    "Kenya": "Nairobi", "Ghana": "Accra", "Nigeria": "Abuja", "India": "New Delhi", "China": "Beijing",
    "Japan": "Tokyo", "South Korea": "Seoul", "Thailand": "Bangkok", "Vietnam": "Hanoi", "Indonesia": "Jakarta",
    "Australia": "Canberra", "New Zealand": "Wellington", "Canada": "Ottawa", "Mexico": "Mexico City",
    "Cuba": "Havana", "Brazil": "Brasilia", "Argentina": "Buenos Aires", "Chile": "Santiago", "Peru": "Lima",
    "Colombia": "Bogota", "the United States": "Washington, D.C.",
}  # fmt: skip

LISTS = {
    "fruits": "apple banana cherry grape lemon mango orange peach pear plum",
    "vegetables": "carrot onion potato tomato cabbage spinach pea leek",
    "colours": "red blue green yellow orange purple black white",
    "colors": "red blue green yellow orange purple black white",
    "animals": "cat dog horse cow lion tiger rabbit elephant bear fox",
    "birds": "robin owl eagle sparrow swan crow parrot duck",
    "planets": "Mercury Venus Earth Mars Jupiter Saturn Uranus Neptune",
    "drinks": "water tea coffee milk juice lemonade",
    "tools": "hammer saw drill wrench screwdriver pliers",
    "countries": "France Japan Brazil Kenya Canada Italy Norway India",
    "cities": "Paris Tokyo Rome Cairo London Berlin Madrid Lima",
    "programming languages": "Python Rust Go Java C Ruby Kotlin Haskell",
    "flowers": "rose tulip daisy lily violet sunflower",
    "trees": "oak pine birch maple willow elm",
    "sports": "football tennis swimming running rowing hockey",
    "instruments": "piano violin guitar flute drum trumpet",
    "metals": "iron gold silver copper tin lead",
    "fish": "salmon trout tuna cod carp herring",
    "insects": "ant bee butterfly beetle fly moth",
    "shapes": "circle square triangle rectangle oval star",
    "seasons": "spring summer autumn winter",
    "pets": "cat dog hamster rabbit parrot goldfish",
}
NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")

OPPOSITES = {
    "hot": "cold", "big": "small", "up": "down", "fast": "slow", "light": "dark", "old": "new", "open": "closed",
    "happy": "sad", "wet": "dry", "high": "low", "full": "empty", "day": "night", "left": "right", "early": "late",
    "hard": "soft", "long": "short", "strong": "weak", "rich": "poor", "near": "far", "loud": "quiet",
}  # fmt: skip

SOUNDS = {"cat": "meow", "dog": "woof", "cow": "moo", "sheep": "baa", "duck": "quack", "pig": "oink", "owl": "hoo",
          "frog": "croak", "lion": "roar", "bee": "buzz"}  # fmt: skip

TRANSLATIONS = {
    "hello": {"French": "bonjour", "Spanish": "hola", "German": "hallo", "Italian": "ciao"},
    "thank you": {"French": "merci", "Spanish": "gracias", "German": "danke", "Italian": "grazie"},
    "yes": {"French": "oui", "Spanish": "si", "German": "ja", "Italian": "si"},
    "no": {"French": "non", "Spanish": "no", "German": "nein", "Italian": "no"},
    "water": {"French": "eau", "Spanish": "agua", "German": "Wasser", "Italian": "acqua"},
    "cat": {"French": "chat", "Spanish": "gato", "German": "Katze", "Italian": "gatto"},
    "dog": {"French": "chien", "Spanish": "perro", "German": "Hund", "Italian": "cane"},
    "house": {"French": "maison", "Spanish": "casa", "German": "Haus", "Italian": "casa"},
    "goodbye": {"French": "au revoir", "Spanish": "adios", "German": "auf Wiedersehen", "Italian": "arrivederci"},
}

HEROES = (
    "fox cat dog robot dragon unicorn mouse rabbit bear owl turtle whale frog wizard knight princess pirate "
    "sailor baker "
    "gardener astronaut penguin elephant lion hedgehog squirrel snail kite cloud star lighthouse ferryman miller "
    "giant ghost"
).split()
PLACES_OF_TALES = (
    "by the sea|in a quiet forest|at the edge of a village|on a high hill|beside an old bridge|in a small harbour|"
    "under a tall oak|in a sleepy town|near a wide river|in a valley of fog"
).split("|")
WISHES = (
    "find a friend|learn to sing|see the moon up close|cross the river|bake the best bread|find the lost key|"
    "plant a garden|build a boat|hear a new song|light the dark road"
).split("|")
MEETINGS = (
    "a kind old toad|a lost child|a talking crow|a tired traveller|a shy firefly|a boy with a lantern|a girl "
    "with a map|"
    "a grumpy goat"
).split("|")
LESSONS = (
    "Together they found the way|They shared their bread and laughed|That night nobody was alone|"
    "The wish came true in a small way|They stayed friends ever after|From then on the door was always open"
).split("|")

TOPICS = (
    "quantum physics|the French Revolution|photosynthesis|the stock market|black holes|jazz|Roman law|machine "
    "learning|"
    "the immune system|inflation|plate tectonics|volcanoes|chess openings|Shakespeare|the Cold War|vaccines|diabetes|"
    "solar panels|nuclear power|blockchain|cooking rice|baking bread|yoga|marathon training|knitting|gardening|"
    "guitar chords|oil painting|ancient Egypt|dinosaurs|the ozone layer|coral "
    "reefs|democracy|taxes|mortgages|insurance|"
    "contract law|patents|copyright|immigration|the moon landing|Mars missions|telescopes|string theory|relativity|"
    "thermodynamics|organic chemistry|the periodic table|DNA|evolution|bacteria|viruses|antibiotics|cancer|heart "
    "disease|"
    "sleep|dreams|anxiety|depression|meditation|philosophy|ethics|Buddhism|the Renaissance|opera|ballet|cinema|"
    "photography|poetry|novels|grammar|linguistics|Latin|Mandarin|sign language|operating "
    "systems|compilers|databases|"
    "sorting algorithms|recursion|neural networks|encryption|passwords|firewalls|Linux|Docker|Kubernetes|Git|regular "
    "expressions|SQL joins|pointers|garbage collection|web design|CSS|React|mobile apps|video games|board games|"
    "football rules|cricket|tennis|skiing|surfing|sailing|climbing|cycling|electric cars|engines|bridges|skyscrapers|"
    "airplanes|trains|shipping|farming|bees|wolves|horses|dog training|cat behaviour|parrots|whales|sharks|mushrooms|"
    "wine|coffee roasting|cheese|chocolate|vegan food|vitamins|protein|weight loss|muscle growth|first aid|pregnancy|"
    "child care|schools|universities|job interviews|salaries|marketing|startups|supply "
    "chains|economics|trade|the euro|"
    "gold|oil prices|interest rates|pensions|elections|parliaments|human rights|war|peace treaties|migration|climate "
    "change|recycling|plastics|hurricanes|earthquakes|tides|deserts|rainforests|the Amazon|the Sahara|the Alps|"
    "the Nile|Antarctica|Tibet|Napoleon|Cleopatra|Einstein|Newton|Darwin|Mozart|Beethoven|Picasso|Gandhi|Lincoln|"
    "Aristotle|Plato|Homer|Dante|Tolstoy|Kafka|Marie Curie|Tesla|Galileo|the Vikings|the Aztecs|samurai|the Silk "
    "Road|"
    "castles|the printing press|the steam engine|the "
    "internet|satellites|radio|lasers|magnets|batteries|semiconductors|"
    "glass|concrete|steel|paper|soap|perfume|fashion|shoes|watches|jewellery|tattoos|wedding speeches|funerals|"
    "birthdays|gifts|travel|visas|hotels|camping|hiking|maps|weather|clouds|rainbows|thunder|snow|seasons|calendars|"
    "time zones|leap years|prime numbers|calculus|algebra|geometry|statistics|probability|fractals|logic|paradoxes|"
    "riddles|magic "
    "tricks|humour|memory|language|emotion|trust|love|friendship|leadership|teamwork|conflict|negotiation"
).split("|")

THINGS = (
    "bicycle laptop phone kettle roof engine garden kitchen sofa window boiler printer router camera piano "
    "violin tent "
    "boat drone carpet wall door fence car truck bus train ticket passport invoice contract letter email report "
    "essay "
    "speech poem song recipe cake soup salad pizza curry sauce bread cheese dress coat shoe hat ring watch lamp bulb "
    "cable battery server website app script function class query table spreadsheet chart logo poster video podcast "
    "budget loan mortgage tax pension salary visa flight hotel holiday wedding party meeting interview exam "
    "course degree "
    "thesis book novel film series game puzzle robot sensor motor pump valve pipe tank bridge tower tunnel road farm "
    "field tree rose lawn pond puppy kitten horse chicken bee spider wound fever cough headache knee tooth "
    "muscle diet"
).split()

VERBS = (
    "fix clean build paint sell buy repair design write improve test debug deploy install configure measure "
    "translate "
    "summarise compare explain draw cook bake freeze store grow water feed train teach learn practise memorise plan "
    "schedule cancel book pay finance insure transport ship pack wrap fold iron sew knit cut glue weld drill "
    "sand polish "
    "varnish remove replace charge connect secure encrypt backup restore migrate optimise publish promote record "
    "edit mix "
    "master tune play sing dance run climb swim ride drive park tow steer launch land register patent license audit"
).split()

ADJECTIVES = (
    "old new cheap expensive broken wooden electric small large fast slow quiet noisy red heavy light rusty "
    "modern antique "
    "simple complex healthy fresh frozen spicy sweet sour rare common famous unknown ancient digital wireless "
    "portable "
    "legal illegal safe dangerous public private local global annual weekly daily formal funny sad romantic "
    "scientific"
).split()

PEOPLE = (
    "lawyer doctor teacher nurse plumber pilot farmer chef painter engineer student landlord neighbour boss "
    "colleague friend "
    "brother mother child daughter grandfather customer client editor manager scientist soldier judge sailor driver"
).split()

PLACES = (
    "Nepal Bolivia Tonga Latvia Estonia Lithuania Malta Cyprus Fiji Samoa Chad Mali Niger Togo Benin Angola "
    "Zambia Malawi "
    "Uganda Rwanda Somalia Sudan Libya Tunisia Algeria Jordan Lebanon Syria Iraq Iran Oman Yemen Qatar Kuwait "
    "Bahrain "
    "Pakistan Bangladesh Bhutan Myanmar Laos Cambodia Malaysia Mongolia Georgia Armenia Albania Slovenia "
    "Slovakia Moldova "
    "Belarus Panama Honduras Jamaica Haiti Uruguay Paraguay Ecuador Venezuela Guyana Texas California Bavaria Quebec "
    "Munich Lyon Milan Porto Osaka Mumbai Lagos Sydney Toronto Chicago Boston Seattle Denver Dallas Geneva "
    "Zurich Hamburg"
).split()
